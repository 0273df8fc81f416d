"""An episode's numbers as LeRobot features, and the features that all episodes of a set must share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.data.formats.lerobot.layout import Feature
from vjepa_sim.data.formats.lerobot.rolling import GROUP
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import difference

# Usual rows per second. Real clocks differ from them by some percent that vary with the episode: DROID's rows at 15 Hz
# are 66 to 71 ms apart.
USUAL_RATES = np.array([1, 2, 3, 4, 5, 10, 12, 15, 20, 24, 25, 30, 50, 60])
RATE_TOLERANCE = 0.1  # largest relative deviation of an episode's rate from its set's
WHOLE_TOLERANCE = 0.02  # largest relative deviation from a whole number that isn't usual


@dataclass(frozen=True)
class Kind:
    """Rate and features that all episodes of a set share.

    Attributes:
        fps: Nominal rows per second.
        features: All features but the row indices.
    """

    fps: int
    features: dict[str, Feature]

    def shared(self, episode: Episode) -> Episode:
        """An episode without the cameras that the set doesn't have.

        Raises:
            UserError: None is left.
        """
        kept = [each for each in episode.cameras if layout.IMAGES + layout.camera_name(each.role) in self.features]
        if not kept:
            have = ", ".join(name for name in self.features if name.startswith(layout.IMAGES))
            raise UserError(
                f"none of its cameras is the set's, which has {have or 'none, as no camera is in most episodes'}. "
                "Choose one that they have (--cameras), or write droid or robomimic, whose episodes may differ."
            )
        return replace(episode, cameras=tuple(kept))

    def differences(self, episode: Episode, columns: dict[str, np.ndarray]) -> str:
        """Differences of an episode with these :func:`columns_of` from this kind, its own value first; "" if none."""
        rate = 1 / episode.period
        found = [] if _fits(rate, self.fps, RATE_TOLERANCE) else [f"{rate:.3g} rows per second, not {self.fps}"]
        features = features_of(episode, columns)
        for name in {**features, **self.features}:
            theirs, ours = features.get(name), self.features.get(name)
            if theirs != ours:
                found.append(f"{name} {_described(theirs)}, not {_described(ours)}")
        return "; ".join(found)


def kind_of(episode: Episode, columns: dict[str, np.ndarray]) -> Kind:
    """The kind of a set whose first episode has these :func:`columns_of`.

    Raises:
        UserError: Its rate is neither near a usual one nor near a whole number.
    """
    return Kind(nominal_rate(1 / episode.period), features_of(episode, columns))


def columns_of(episode: Episode) -> dict[str, np.ndarray]:
    """An episode's numbers [T, …] by feature; float64, except for the two that LeRobot's policies use."""
    states, rows = np.asarray(episode.states, np.float64), len(episode)
    actions = np.vstack([difference(states[:-1], states[1:]), np.zeros(7)])
    columns = {
        layout.STATE: states.astype(np.float32),
        layout.POSE: states[:, :6],
        layout.GRIPPER: states[:, 6:],
    }
    if episode.joints is not None:
        columns[layout.JOINTS] = np.asarray(episode.joints, np.float64)
    columns[layout.ACTION] = actions.astype(np.float32)
    if episode.commands is not None:
        commands = np.asarray(episode.commands, np.float64)
        columns |= {layout.POSE_COMMAND: commands[:, :6], layout.GRIPPER_COMMAND: commands[:, 6:]}
    for camera in episode.cameras:
        if camera.extrinsics is not None:
            name = layout.EXTRINSICS + layout.camera_name(camera.role)
            columns[name] = np.asarray(camera.extrinsics, np.float64)
    last = np.arange(rows) == rows - 1
    columns[layout.NEXT_DONE] = last
    if episode.success is not None:
        columns[layout.NEXT_SUCCESS] = last & bool(episode.success)
        columns[layout.SUCCESS] = np.full(rows, bool(episode.success))
    columns[layout.STAMP] = np.asarray(episode.stamps, np.float64)
    columns |= {layout.own_name(layout.PRIVILEGED, name): each for name, each in episode.privileged.items()}
    columns |= {layout.own_name(layout.EXTRAS, name): each for name, each in episode.extras.items()}
    return columns


def nominal_rate(rate: float) -> int:
    """The set's rate for an episode's.

    Raises:
        UserError: It is neither near a usual rate nor near a whole number.
    """
    usual, whole = int(USUAL_RATES[np.abs(np.log(rate / USUAL_RATES)).argmin()]), round(rate)
    if _fits(rate, usual, RATE_TOLERANCE):
        return usual
    if whole < 1 or not _fits(rate, whole, WHOLE_TOLERANCE):
        raise UserError(
            f"its rows come at {rate:.3g} Hz; LeRobot's format wants a whole number of rows per second. Resample it, "
            "or write DROID's layout (droid), which keeps any stamps."
        )
    return whole


def _fits(rate: float, nominal: int, tolerance: float) -> bool:
    return abs(rate / nominal - 1) <= tolerance


def features_of(episode: Episode, columns: dict[str, np.ndarray]) -> dict[str, Feature]:
    """Features of an episode with these :func:`columns_of`; videos without their rate."""
    features = {name: _feature(name, column) for name, column in columns.items()}
    for camera in episode.cameras:
        features[layout.IMAGES + layout.camera_name(camera.role)] = _video_feature(camera)
    return features


def _feature(name: str, column: np.ndarray) -> Feature:
    if column.dtype.kind in "UO":
        return Feature("string", (1,))
    # LeRobot stores [T] and [T, 1] alike; only [T, 1] gets a named axis.
    axes = layout.axes_of(name, column[0].size) or (["0"] if column.shape[1:] == (1,) else None)
    return Feature(column.dtype.name, column.shape[1:] or (1,), None if axes is None else {"axes": axes})


def _video_feature(camera: Camera) -> Feature:
    height, width = (size + size % 2 for size in camera.frames.shape[1:3])  # the codec's sizes are even
    info = {
        "video.height": height,
        "video.width": width,
        "video.channels": 3,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.g": GROUP,
        "is_depth_map": False,
        "has_audio": False,
    }
    if camera.role not in layout.CAMERAS:
        info[layout.ROLE] = camera.role
    return Feature("video", (height, width, 3), ["height", "width", "channels"], info)


def _described(feature: Feature | None) -> str:
    if feature is None:
        return "missing"
    single = feature.shape == (1,) and feature.names is None  # written [T], not [T, 1]
    return feature.dtype if single else f"{feature.dtype} {list(feature.shape)}"
