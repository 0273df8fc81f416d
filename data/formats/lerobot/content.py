"""An episode's numbers as LeRobot's features, and what all episodes of a set must share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.episode import Camera, Episode
from data.formats.lerobot import layout
from data.formats.lerobot.layout import Feature
from data.formats.lerobot.rolling import GROUP
from envs.errors import UserError
from envs.pose import difference

RATE_TOLERANCE = 0.02  # of a whole number of rows per second


@dataclass(frozen=True)
class Kind:
    """What all episodes of a set share.

    Attributes:
        fps: rows per second.
        features: all but those that count rows.
    """

    fps: int
    features: dict[str, Feature]

    def differences(self, other: Kind) -> str:
        """What isn't the same, each time this one's first."""
        found = [] if self.fps == other.fps else [f"{self.fps} rows per second, not {other.fps}"]
        for name in {**self.features, **other.features}:
            mine, theirs = self.features.get(name), other.features.get(name)
            if mine != theirs:
                found.append(f"{name} {_said(mine)}, not {_said(theirs)}")
        return "; ".join(found)


def kind_of(episode: Episode, columns: dict[str, np.ndarray]) -> Kind:
    """The kind of an episode with these :func:`columns_of`.

    Raises:
        UserError: its rate is no whole number.
    """
    fps = _whole_rate(episode.period)
    features = {name: _feature(name, column) for name, column in columns.items()}
    for camera in episode.cameras:
        features[layout.IMAGES + layout.CAMERAS[camera.role]] = _video_feature(camera, fps)
    return Kind(fps, features)


def columns_of(episode: Episode) -> dict[str, np.ndarray]:
    """An episode's numbers [T, …] by feature, float64 but for the two that are there for LeRobot's policies."""
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
            name = layout.EXTRINSICS + layout.CAMERAS[camera.role]
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


def _whole_rate(period: float) -> int:
    rate = 1 / period
    whole = round(rate)
    if whole < 1 or abs(rate - whole) > RATE_TOLERANCE * whole:
        raise UserError(
            f"its rows come at {rate:.3g} Hz; LeRobot's format wants a whole number of rows per second. Resample it, or "
            "write DROID's layout (droid), which keeps any stamps."
        )
    return whole


def _feature(name: str, column: np.ndarray) -> Feature:
    if column.dtype.kind in "UO":
        return Feature("string", (1,))
    # [T] and [T, 1] are the same to LeRobot; an axis with a name tells them apart.
    axes = layout.AXES.get(name, ["0"] if column.shape[1:] == (1,) else None)
    return Feature(column.dtype.name, column.shape[1:] or (1,), None if axes is None else {"axes": axes})


def _video_feature(camera: Camera, fps: int) -> Feature:
    height, width = (size + size % 2 for size in camera.frames.shape[1:3])  # the codec's sizes are even
    info = {
        "video.fps": fps,
        "video.height": height,
        "video.width": width,
        "video.channels": 3,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.g": GROUP,
        "is_depth_map": False,
        "has_audio": False,
    }
    return Feature("video", (height, width, 3), ["height", "width", "channels"], info)


def _said(feature: Feature | None) -> str:
    return "missing" if feature is None else f"{feature.dtype} {list(feature.shape)}"
