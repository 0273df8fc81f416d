"""Read DROID's RLDS release: one ``tf.train.Example`` per episode, its steps flattened into ``steps/...`` lists."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.data.encoded_frames import EncodedFrames
from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.files import read_json_object
from vjepa_sim.data.formats.format import Entry, Progress, Reader, digest_of, no_progress
from vjepa_sim.data.formats.index import indexed
from vjepa_sim.data.formats.rlds.example import Features, parse_example, peek_example
from vjepa_sim.data.formats.rlds.tfrecord import SMALLEST, find_records, find_span, read_record
from vjepa_sim.data.walk import Folder
from vjepa_sim.envs.errors import UserError

RATE = 15.0  # Hz of DROID's control loop; the files hold no time stamps
CAMERAS = {"ext1": "exterior_image_1_left", "ext2": "exterior_image_2_left", "wrist": "wrist_image_left"}
SEEN, SENT = "steps/observation/", "steps/action_dict/"
STATES = (f"{SEEN}cartesian_position", f"{SEEN}gripper_position")
COMMANDS = (f"{SENT}cartesian_position", f"{SENT}gripper_position")
JOINTS = f"{SEEN}joint_position"
TASKS = ("steps/language_instruction", "steps/language_instruction_2", "steps/language_instruction_3")
SOURCES = ("episode_metadata/file_path", "episode_metadata/recording_folderpath")
EMPTY_IMAGE, HEAD = 2, 16  # bytes of a missing image in a list, and most bytes before the first one
ENDS = 4096  # bytes at both ends of a shard that are compared to find copies
SHARD = re.compile(r".+-(?P<split>[^-]+)\.tfrecord-(?P<number>\d{5})-of-(?P<count>\d{5})")

log = logging.getLogger(__name__)


class RLDSReader(Reader):
    """Episodes of a folder that TFDS wrote, in the order of its shards; missing shards are skipped.

    States and commands are DROID's ``cartesian_position`` and ``gripper_position`` (0 open, 1 closed), which TFDS
    stores as 32-bit numbers. There are 15 rows a second. The release has no camera poses.
    """

    format = "rlds"

    def __init__(self, root: Path, on_progress: Progress = no_progress):
        """
        Args:
            root: Folder with the shards, or with a version's folder.
            on_progress: See :func:`.open_reader`.

        Raises:
            UserError: There are no TFRecord files, or their ``dataset_info.json`` is damaged.
        """
        self.root = root = Path(root)  # set before the index is built: its errors name it
        folder = find_folder(root)
        if folder is None:
            raise UserError(f"{root}: no TFRecord files (*.tfrecord*) here or in a version's folder, such as 1.0.0.")
        self.folder = folder
        height, width = _image_size(folder)  # not in the index, which notices changes of shards only
        entries = indexed(folder, _find_episodes(folder), self._describe, on_progress)
        super().__init__(root, [replace(entry, height=height, width=width) for entry in entries])

    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """See :meth:`.Reader.read`; ``extras`` are the other numbers of each step.

        Their names are DROID's paths (``action/joint_velocity``), or the release's own (``steps/reward``).
        """
        where = self.where(number)
        try:
            features = parse_example(read_record(*self._place(self.entries[number].name)))
            episode = _to_episode(features, extras)
            cameras = {camera.role: camera for camera in episode.cameras}
            if views is not None:  # selected before an image is looked at
                cameras = {camera.role: camera for camera in (episode.view(view) for view in views)}
            with_frames = [_with_frames(camera, features, len(episode), where) for camera in cameras.values()]
            return replace(episode, cameras=tuple(with_frames))
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def _place(self, name: str) -> tuple[Path, int]:
        shard, _, record = name.rpartition(":")
        return self.folder / shard, int(record)

    def _describe(self, name: str) -> Entry:
        """The index entry of an episode, without reading its images."""
        path, record = self._place(name)
        try:
            features = peek_example(path, *find_span(path, record), _is_indexed)
            states = _states(features)
            rows = len(states)
            cameras = tuple(
                role for role, camera in CAMERAS.items() if features.get(SEEN + camera, 0) > rows * EMPTY_IMAGE + HEAD
            )
            if rows < 2 or not cameras:
                raise UserError(f"{rows} rows and {len(cameras)} cameras; an episode has at least 2 and 1")
            return Entry(
                name=name,
                rows=rows,
                duration=(rows - 1) / RATE,
                period=1 / RATE,
                cameras=cameras,
                success=_success(features),
                task=_task(features),
                gripper="robotiq",
                digest=digest_of(states),
            )
        except UserError as error:
            return Entry(name=name, error=f"{self.root}: {name}: {error}")


# --- files ----------------------------------------------------------------------------------------------------


def find_folder(root: Path) -> Path | None:
    """The folder with TFRecord files: ``root``, or its newest version's; None if there is none."""
    try:
        if not root.is_dir():
            return None
        versions = [path for path in root.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
        versions.sort(key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)
        return next((folder for folder in (root, *versions) if _shards(folder)), None)
    except (OSError, UserError):
        return None


def _shards(folder: Path) -> list[Path]:
    return [Path(item.path) for item in Folder(folder).files if ".tfrecord" in item.name]


def _find_episodes(folder: Path) -> dict[str, int]:
    """Episodes by name, ``<shard's file>:<number of the record>``, with a number that changes with the shard."""
    lengths = _shard_lengths(folder)
    found = {}
    for path in _without_copies(_shards(folder)):
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"{path}: the file can't be read ({error.strerror}).") from error
        match = SHARD.fullmatch(path.name)
        known = lengths.get(match["split"], []) if match else []
        if match and len(known) == int(match["count"]) > int(match["number"]):
            count = known[int(match["number"])]
        else:  # the number of records is unknown
            records = find_records(path)
            count = len(records.spans) + bool(records.damage)
        if count * SMALLEST > max(status.st_size, SMALLEST):
            raise UserError(f"{path}: {status.st_size} bytes are too few for {count} records; the file is incomplete.")
        stamp = (status.st_mtime_ns * 1_000_003 + status.st_size) % 2**63
        found.update({f"{path.name}:{number}": stamp for number in range(count)})
    return found


def _without_copies(paths: list[Path]) -> list[Path]:
    """Shards without those that a browser or a person copied: held-out episodes would be in training, too.

    These have the same first and last bytes as another one, or aren't named as a shard where others are.
    """
    named = [path for path in paths if SHARD.fullmatch(path.name)]
    kept: dict[tuple[int, bytes], Path] = {}
    for path in named or paths:
        try:
            size = path.stat().st_size
            with open(path, "rb") as file:
                ends = file.read(ENDS)
                file.seek(max(0, size - ENDS))
                mark = (size, ends + file.read(ENDS))
        except OSError as error:
            raise UserError(f"{path}: the file can't be read ({error.strerror}).") from error
        if mark in kept:
            log.warning("%s is passed over: it is a copy of %s.", path, kept[mark].name)
        kept.setdefault(mark, path)
    for path in paths if named else ():
        if path not in named:
            log.warning("%s is passed over: its name is none of a shard, as %s is.", path, named[0].name)
    return list(kept.values())


def _shard_lengths(folder: Path) -> dict[str, list[int]]:
    """Number of records in each shard of a split, by TFDS's dataset_info.json; empty without it."""
    path = folder / "dataset_info.json"
    if not path.exists():
        return {}
    info = read_json_object(path)
    if info.get("fileFormat", "tfrecord") != "tfrecord":
        raise UserError(f"{path}: the files are {info['fileFormat']!r}; only 'tfrecord' can be read.")
    try:
        lengths = {
            str(split["name"]): [int(length) for length in split.get("shardLengths", ())] for split in info["splits"]
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: its splits can't be understood ({error!r}).") from error
    if any(length < 0 for each in lengths.values() for length in each):
        raise UserError(f"{path}: negative shardLengths.")
    return lengths


def _image_size(folder: Path) -> tuple[int, int]:
    """Height and width of the first camera's images by features.json; 0, 0 if unknown."""
    path = folder / "features.json"
    if not path.exists():
        return 0, 0
    tree: Any = read_json_object(path)
    way = ("featuresDict", "features", "steps", "sequence", "feature", "featuresDict", "features", "observation",
           "featuresDict", "features", CAMERAS["ext1"], "image", "shape", "dimensions")  # fmt: skip
    try:
        for name in way:
            tree = tree[name]
        height, width = (min(abs(int(side)), 2**31 - 1) for side in tree[:2])
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0, 0
    return height, width


# --- one episode ----------------------------------------------------------------------------------------------


def _to_episode(features: Features, extras: bool) -> Episode:
    """An episode, its cameras with blank frames."""
    states = _states(features)
    rows = len(states)
    return Episode(
        cameras=_cameras(features, rows),
        states=states,
        stamps=np.arange(rows) / RATE,
        commands=_columns(features, *COMMANDS) if COMMANDS[0] in features else None,
        joints=_matrix(features, JOINTS, 7) if JOINTS in features else None,
        task=_task(features),
        success=_success(features),
        extras=_extras(features, rows) if extras else {},
        details={"gripper": "robotiq", "source": _source(features)},
    )


def _cameras(features: Features, rows: int) -> tuple[Camera, ...]:
    """The cameras that have images, with blank frames."""
    blank = np.broadcast_to(np.zeros((1, 1, 1, 3), np.uint8), (rows, 1, 1, 3))
    return tuple(Camera(serial, blank, role=role) for role, serial in CAMERAS.items() if any(_images(features, serial)))


def _with_frames(camera: Camera, features: Features, rows: int, where: str) -> Camera:
    images = _images(features, camera.serial)
    if len(images) != rows:
        raise UserError(f"{len(images)} images of {camera.serial} for {rows} rows")
    return replace(camera, frames=EncodedFrames(f"{where}, {camera.serial}", images))


def _images(features: Features, serial: str) -> list[bytes]:
    images = features.get(SEEN + serial)
    return images if isinstance(images, list) else []


def _extras(features: Features, rows: int) -> dict[str, np.ndarray]:
    """Numbers [T, …] of each step without a field of their own in an episode."""
    found = {}
    for name, values in features.items():
        if name in (*STATES, *COMMANDS, JOINTS) or not name.startswith("steps/") or isinstance(values, list):
            continue
        if len(values) == 0 or len(values) % rows:
            log.warning("%s: %d numbers for %d rows; left out.", name, len(values), rows)
            continue
        rows_of = values if len(values) == rows else values.reshape(rows, -1)
        if name.startswith("steps/is_"):
            rows_of = rows_of.astype(bool)
        found[_droid_path(name)] = rows_of
    return found


def _droid_path(name: str) -> str:
    if name.startswith(SENT):
        return "action/" + name.removeprefix(SENT)
    return "observation/robot_state/" + name.removeprefix(SEEN) if name.startswith(SEEN) else name


def _is_indexed(name: str) -> bool:
    return name in (*STATES, *TASKS, *SOURCES)


def _states(features: Features) -> np.ndarray:
    return _columns(features, *STATES)


def _columns(features: Features, poses: str, closedness: str) -> np.ndarray:
    """States float64 [T, 7] from two features [T, 6] and [T, 1]."""
    first, last = _matrix(features, poses, 6), _matrix(features, closedness, 1)
    if len(first) != len(last):
        raise UserError(f"{len(first)} rows of {poses} and {len(last)} of {closedness}")
    return np.column_stack([first, last])


def _matrix(features: Features, name: str, width: int) -> np.ndarray:
    """Rows float64 [T, width] from a flattened list."""
    values = features.get(name)
    if values is None:
        steps = ", ".join(sorted(each for each in features if each.startswith("steps/"))) or "nothing"
        raise UserError(f"no {name}; it has {steps}. Only DROID's RLDS releases can be read")
    if isinstance(values, list) or len(values) % width:
        raise UserError(f"{name} has {len(values)} values; expected rows of {width} numbers")
    return values.reshape(-1, width).astype(np.float64)


def _task(features: Features) -> str:
    """The first instruction that isn't empty."""
    for name in TASKS:
        texts = features.get(name)
        if isinstance(texts, list) and texts and texts[0].strip():
            return texts[0].decode(errors="replace").strip()
    return ""


def _source(features: Features) -> str:
    """Path of the recording on DROID's own disks, or ""."""
    for name in SOURCES:
        texts = features.get(name)
        if isinstance(texts, list) and texts and texts[0]:
            return texts[0].decode(errors="replace")
    return ""


def _success(features: Features) -> bool | None:
    """Success by the folder of the recording, ``success`` or ``failure``."""
    folders = _source(features).split("/")
    found = [name for name in ("success", "failure") if name in folders]
    return found == ["success"] if len(found) == 1 else None
