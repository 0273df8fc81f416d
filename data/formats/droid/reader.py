"""Read DROID's raw layout in every variant that is known of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data.episode import ROLES, VIEWS, Camera, Episode
from data.files import read_json_object
from data.formats.droid.layout import RATE, TRAJECTORY, VIDEOS, find_episodes
from data.formats.format import Entry, Progress, Reader, no_progress
from data.index import indexed
from data.video import Video
from envs.errors import UserError

# What a damaged or foreign file makes h5py raise while something is looked up or read.
HDF5_ERRORS = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
HAND = 0  # in observation/camera_type
STATES = "observation/robot_state/cartesian_position"
CLOSEDNESS = "observation/robot_state/gripper_position"
JOINTS = "observation/robot_state/joint_positions"
STAMPS, SECONDS = "observation/timestamp/robot_state/read_start", "vjepa_sim/stamp"
COMMANDS, COMMANDED_CLOSEDNESS = "action/cartesian_position", "action/gripper_position"
CAMERA_GROUPS = ("observation/camera_extrinsics/", "observation/camera_intrinsics/")
PRIVILEGED = "vjepa_sim/privileged"
MAX_ROWS = 1_000_000  # 18 hours; a file that claims more is damaged
MAX_MISSING_FRAMES = 1  # some of DROID's videos lack a frame


class DroidReader(Reader):
    """Episodes below a folder, whatever folders lie between."""

    format = "droid"

    def __init__(self, root: Path, on_progress: Progress = no_progress):
        root = Path(root)
        super().__init__(root, indexed(root, find_episodes(root), lambda name: describe(root, name), on_progress))

    def folder(self, number: int) -> Path:
        """Where an episode lies."""
        return self.root / self.entries[number].name

    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """See :meth:`data.formats.format.Reader.read`."""
        return read_episode(self.folder(number), views, extras)


def describe(root: Path, name: str) -> Entry:
    """What an index remembers of an episode; an unreadable one is an entry with an error."""
    try:
        folder = root / name
        metadata = _read_metadata(folder)
        ours = _ours(metadata, folder)
        seed = ours.get("seed")
        with _Trajectory(folder) as file:
            serials = _serials(file, metadata, folder)
            videos = {role: _video_file(folder, serial) for role, serial in serials.items()}
            cameras = tuple(role for role, file_ in videos.items() if file_ is not None)
            if not cameras:
                raise UserError(_no_video(folder))
            path, left_half = videos[cameras[0]]
            _, height, width, _ = Video(path, left_half=left_half).shape
            rows = file.rows()
            stamps = file.stamps(rows)
            return Entry(
                name=name,
                rows=rows,
                duration=float(stamps[-1] - stamps[0]),
                period=float(np.median(np.diff(stamps))),
                cameras=cameras,
                height=height,
                width=width,
                success=_success(folder, metadata, file),
                task=str(metadata.get("current_task") or file.attribute("current_task") or ""),
                seed=seed,
                gripper=str(ours.get("gripper", "robotiq")),
            )
    except UserError as error:
        return Entry(name=name, error=str(error))


def read_episode(folder: Path, views: tuple[str, ...] | None = None, extras: bool = True) -> Episode:
    """Read one episode.

    Known variants are read alike: with or without metadata, intrinsics, time stamps, a camera or a video's last
    frame; recordings of both eyes side by side give the left eye. Real DROID's gripper is the Robotiq 2F-85.

    Args:
        folder: with ``trajectory.h5``.
        views: only these cameras, see :meth:`data.episode.Episode.view`; None means all whose video is there.
        extras: also every other array of the file, by its path.

    Raises:
        UserError: a file is missing or damaged, or contents don't fit together; the message names the folder.
    """
    folder = Path(folder)
    metadata = _read_metadata(folder)
    ours = _ours(metadata, folder)
    unknown = ours.get("unknown", ())
    with _Trajectory(folder) as file:
        rows = file.rows()
        if "action" not in file:
            raise UserError(f"{folder}: no group 'action': the recording was aborted. Remove the folder.")
        cameras = _read_cameras(file, metadata, folder, rows, views)
        length = min(rows, *(len(camera.frames) for camera in cameras))  # a lost frame is the last one
        episode = dict(
            states=file.columns(STATES, CLOSEDNESS),
            stamps=file.stamps(rows),
            commands=None
            if "commands" in unknown or COMMANDS not in file
            else file.columns(COMMANDS, COMMANDED_CLOSEDNESS),
            joints=file.array(JOINTS) if JOINTS in file else None,
            privileged=file.arrays_below(PRIVILEGED),
            extras=file.others() if extras else {},
        )
        _check_lengths(episode, rows, folder)
        success = None if "success" in unknown else _success(folder, metadata, file)
        task = metadata.get("current_task") or file.attribute("current_task")
    try:
        return Episode(
            cameras=tuple(_shortened(camera, length) for camera in cameras),
            **{name: _cut(values, length) for name, values in episode.items()},
            task=str(task or ""),
            success=success,
            behavior=str(ours.get("behavior", "unknown")),
            seed=ours.get("seed"),
            details=_details(metadata, ours),
        )
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error


def _check_lengths(episode: dict[str, Any], rows: int, folder: Path) -> None:
    named = {**episode, **episode["privileged"], **episode["extras"]}
    lengths = {name: len(values) for name, values in named.items() if isinstance(values, np.ndarray)}
    wrong = {name: length for name, length in lengths.items() if length != rows}
    if wrong:
        raise UserError(f"{folder}: {rows} rows of states, but {wrong}; all must be equally long.")


def _cut(values: Any, length: int) -> Any:
    if isinstance(values, dict):
        return {name: each[:length] for name, each in values.items()}
    return None if values is None else values[:length]


# --- metadata -------------------------------------------------------------------------------------------------


def _read_metadata(folder: Path) -> dict[str, Any]:
    """The episode's metadata_*.json; empty if there is none, as in partial downloads."""
    files = sorted(name for name in _names(folder) if name.startswith("metadata_") and name.endswith(".json"))
    return read_json_object(folder / files[0]) if files else {}


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise UserError(f"{folder}: the folder can't be read ({error.strerror}).") from error


def _ours(metadata: dict, folder: Path) -> dict[str, Any]:
    """What our writer noted besides DROID's fields."""
    ours = metadata.get("vjepa_sim", {})
    if not isinstance(ours, dict) or not isinstance(ours.get("seed"), int | None):
        raise UserError(f"{folder}: the metadata's vjepa_sim must be an object, its seed a number.")
    return ours


def _details(metadata: dict, ours: dict) -> dict[str, Any]:
    source = {name: metadata[name] for name in ("uuid", "lab", "building", "robot_serial") if name in metadata}
    if ours:
        return {name: value for name, value in ours.items() if name not in ("behavior", "seed", "period", "unknown")}
    return {"gripper": "robotiq", **({"source": source} if source else {})}


def _success(folder: Path, metadata: dict, file: _Trajectory) -> bool | None:
    """By the metadata, else by the folder it was put into, else by the recording's own mark."""
    if "success" in metadata:
        if not isinstance(metadata["success"], bool):
            raise UserError(f"{folder}: the metadata's success must be true or false, not {metadata['success']!r}.")
        return metadata["success"]
    for name, value in (("success", True), ("failure", False)):
        if name in folder.parts:
            return value
    mark = file.attribute("success")
    return None if mark is None else bool(mark)


# --- cameras --------------------------------------------------------------------------------------------------


def _serials(file: _Trajectory, metadata: dict, folder: Path) -> dict[str, str]:
    """Serial of each role: by the metadata, else by camera_type (the hand's is 0, the others are sorted)."""
    fields = {"ext1": "ext1_cam_serial", "ext2": "ext2_cam_serial", "wrist": "wrist_cam_serial"}
    if all(isinstance(metadata.get(field), str) for field in fields.values()):
        found = {role: metadata[field] for role, field in fields.items()}
    else:
        kinds = {
            serial: file.first(f"observation/camera_type/{serial}") for serial in file.names("observation/camera_type")
        }
        others = sorted(serial for serial, kind in kinds.items() if kind != HAND)
        hand = sorted(serial for serial, kind in kinds.items() if kind == HAND)
        if not kinds:  # nothing tells: the videos themselves
            others = sorted({name.removesuffix(".mp4").removesuffix("-stereo") for name in _videos(folder)})
        found = dict(zip(("ext1", "ext2"), others, strict=False)) | dict(zip(("wrist",), hand, strict=False))
    # Our episodes with one camera name it in all three roles, since DROID's readers reject records with gaps.
    if len(set(found.values())) == 1 and len(found) > 1:
        return {"ext1": next(iter(found.values()))}
    return {role: found[role] for role in ROLES if role in found}


def _videos(folder: Path) -> list[str]:
    path = folder / VIDEOS
    return [name for name in _names(path) if name.endswith(".mp4")] if path.is_dir() else []


def _video_file(folder: Path, serial: str) -> tuple[Path, bool] | None:
    """The video of a camera and whether it shows both eyes; None if there is none."""
    for name, both in ((f"{serial}.mp4", False), (f"{serial}-stereo.mp4", True)):
        path = folder / VIDEOS / name
        if path.is_file():
            return path, both
    return None


def _no_video(folder: Path) -> str:
    if (folder / "recordings" / "SVO").is_dir():
        return (
            f"{folder}: its recordings are SVO files only. Convert them to recordings/MP4 with DROID's own script "
            "(svo2mp4, which needs the ZED SDK), or download the MP4 files."
        )
    return f"{folder}: no video in {VIDEOS}. The episode is incomplete; restore or remove the folder."


def _read_cameras(
    file: _Trajectory, metadata: dict, folder: Path, rows: int, views: tuple[str, ...] | None
) -> list[Camera]:
    serials = {role: serial for role, serial in _serials(file, metadata, folder).items() if _video_file(folder, serial)}
    if not serials:
        raise UserError(_no_video(folder))
    extrinsics = {role: file.pose(f"observation/camera_extrinsics/{serial}_left") for role, serial in serials.items()}
    chosen = list(serials) if views is None else [_role(view, serials, extrinsics, folder) for view in views]
    cameras = []
    for role in dict.fromkeys(chosen):
        path, both = _video_file(folder, serials[role])
        video = Video(path, left_half=both)
        if not rows - MAX_MISSING_FRAMES <= len(video) <= rows:
            raise UserError(
                f"{folder}: {len(video)} frames in {path.name} for {rows} rows; at most one frame may be missing."
            )
        intrinsics = f"observation/camera_intrinsics/{serials[role]}_left"
        matrix = file.array(intrinsics)[0] if intrinsics in file else None
        cameras.append(Camera(serials[role], video, role, extrinsics[role], matrix))
    return cameras


def _role(view: str, serials: dict[str, str], extrinsics: dict[str, np.ndarray | None], folder: Path) -> str:
    """The role that a view means; see :meth:`data.episode.Episode.view`."""
    sides = sorted(
        (role for role in serials if role != "wrist"),
        key=lambda role: (0.0 if extrinsics[role] is None else -float(extrinsics[role][0, 1]), role),
    )
    if view in ("left", "right") and sides:
        return sides[0] if view == "left" else sides[-1]
    for role, serial in serials.items():
        if view in (role, serial):
            return role
    have = ", ".join(f"{role} ({serial})" for role, serial in serials.items())
    raise UserError(f"{folder}: no video of camera {view!r}; there is {have}. Views: {', '.join(VIEWS)}, or a serial.")


def _shortened(camera: Camera, length: int) -> Camera:
    frames = camera.frames if len(camera.frames) == length else camera.frames.cut(length)
    poses = None if camera.extrinsics is None else camera.extrinsics[:length]
    return Camera(camera.serial, frames, camera.role, poses, camera.intrinsics)


# --- rows -----------------------------------------------------------------------------------------------------


class _Trajectory:
    """An open trajectory.h5; whatever goes wrong in it is an error that names the file."""

    def __init__(self, folder: Path):
        self.path = folder / TRAJECTORY

    def __enter__(self) -> _Trajectory:
        import h5py

        if not self.path.is_file():
            raise UserError(
                f"{self.path.parent}: no {TRAJECTORY}. The episode is incomplete; restore or remove the folder."
            )
        self._file = self._try(lambda: h5py.File(self.path, "r"))
        return self

    def __exit__(self, *_: object) -> None:
        self._try(self._file.close)

    def __contains__(self, name: str) -> bool:
        return self._try(lambda: name in self._file)

    def rows(self) -> int:
        """How many there are; the states' own count."""
        rows = len(self.array(CLOSEDNESS))
        if rows < 2:
            raise UserError(f"{self.path}: an episode needs at least 2 rows; it has {rows}.")
        return rows

    def array(self, name: str) -> np.ndarray:
        """Numbers of one leaf."""

        def read() -> np.ndarray:
            leaf = self._file[name]
            if not 0 < leaf.shape[0] <= MAX_ROWS or leaf.size > 64 * MAX_ROWS:
                raise ValueError(f"{name} has the shape {leaf.shape}")
            return np.asarray(leaf[:])

        values = self._try(read)
        if values.dtype.kind not in "biuf":
            raise UserError(f"{self.path}: {name} holds {values.dtype}, not numbers.")
        return values.astype(np.float64) if values.dtype.kind == "f" else values

    def first(self, name: str) -> Any:
        """The first row of a leaf."""
        return self._try(lambda: self._file[name][0])

    def columns(self, poses: str, closedness: str) -> np.ndarray:
        """float64 [T, 7] of two leaves [T, 6] and [T]."""
        first, last = self.array(poses), self.array(closedness)
        if first.shape != (len(last), 6) or last.ndim != 1:
            raise UserError(f"{self.path}: {poses} has shape {first.shape} and {closedness} {last.shape}.")
        return np.column_stack([first, last]).astype(np.float64)

    def pose(self, name: str) -> np.ndarray | None:
        """A pose [T, 6] for each row, or None if there is none."""
        return self.array(name).astype(np.float64) if name in self else None

    def stamps(self, rows: int) -> np.ndarray:
        """Seconds [T]: our own clock, or the robot's in milliseconds, or 15 rows a second."""
        if SECONDS in self:
            return self.array(SECONDS).astype(np.float64)
        if STAMPS in self:
            return self.array(STAMPS) / 1000.0
        return np.arange(rows) / RATE

    def names(self, group: str) -> list[str]:
        """What a group holds; nothing if there is none."""
        return self._try(lambda: list(self._file[group]) if group in self._file else [])

    def arrays_below(self, group: str) -> dict[str, np.ndarray]:
        """Leaves of a group by name."""
        return {name: self.array(f"{group}/{name}") for name in self.names(group)}

    def others(self) -> dict[str, np.ndarray]:
        """Every array that has no place of its own in an episode, by path."""
        taken = {STATES, CLOSEDNESS, JOINTS, STAMPS, SECONDS, COMMANDS, COMMANDED_CLOSEDNESS}

        def leaves() -> list[str]:
            found: list[str] = []
            self._file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
            return found

        wanted = [
            name
            for name in self._try(leaves)
            if name not in taken
            and not name.startswith("vjepa_sim/")
            and not (name.startswith(CAMERA_GROUPS) and name.endswith("_left"))
        ]
        return {name: self.array(name) for name in wanted} | self.arrays_below("vjepa_sim/extras")

    def attribute(self, name: str) -> Any:
        """An attribute of the file, or None."""
        return self._try(lambda: self._file.attrs.get(name))

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except UserError:
            raise
        except HDF5_ERRORS as error:
            raise UserError(f"{self.path}: can't be read as a DROID trajectory ({error}).") from error
