"""Names and paths in a LeRobot v3 data set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from vjepa_sim.data.episode import Camera, Episode, assign_roles, is_role
from vjepa_sim.data.files import parse_json_object, read_json_object
from vjepa_sim.envs.errors import UserError

INFO = "meta/info.json"
OLD_INFO = "meta_data/info.json"  # of version 1
CONVERTERS = ("convert_dataset_v1_to_v2", "convert_dataset_v20_to_v21", "convert_dataset_v21_to_v30")
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes"
PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"{EPISODES}/{PLACE}.parquet"
DATA_PATH = f"data/{PLACE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{PLACE}.mp4"

IMAGES = "observation.images."
EXTRINSICS = "camera_extrinsics."
STATE = "observation.state"
POSE, GRIPPER, JOINTS = f"{STATE}.cartesian_position", f"{STATE}.gripper_position", f"{STATE}.joint_position"
ACTION = "action"
POSE_COMMAND, GRIPPER_COMMAND = f"{ACTION}.cartesian_position", f"{ACTION}.gripper_position"
NEXT_SUCCESS, NEXT_DONE, SUCCESS = "next.success", "next.done", "is_episode_successful"
INDICES = ("timestamp", "frame_index", "episode_index", "index", "task_index")  # in every set

# Our own columns: LeRobot keeps unknown columns and features.
NOTE = "vjepa_sim/note"  # JSON, see Note
DURATION, PERIOD = "vjepa_sim/duration", "vjepa_sim/period"  # s
OWN_SUCCESS, SEED, ARM_NAME, GRIPPER_NAME = (
    "vjepa_sim/success",
    "vjepa_sim/seed",
    "vjepa_sim/arm",
    "vjepa_sim/gripper",
)
OWN_COLUMNS = {
    NOTE: "string",
    DURATION: "double",
    PERIOD: "double",
    OWN_SUCCESS: "bool",
    SEED: "int64",
    ARM_NAME: "string",
    GRIPPER_NAME: "string",
}
STAMP = "vjepa_sim.stamp"
PRIVILEGED = "vjepa_sim.privileged."
EXTRAS = "vjepa_sim.extras."

CAMERAS = {"ext1": "exterior_1_left", "ext2": "exterior_2_left", "wrist": "wrist_left"}  # DROID's names by role
ROLE = "vjepa_sim.role"  # in a camera's info, if the role isn't DROID's
POSE_AXES = ["x", "y", "z", "roll", "pitch", "yaw"]
AXES = {
    STATE: [*POSE_AXES, "gripper"],
    POSE: POSE_AXES,
    GRIPPER: ["gripper"],
    ACTION: [*POSE_AXES, "gripper"],
    POSE_COMMAND: POSE_AXES,
    GRIPPER_COMMAND: ["gripper"],
}


def axes_of(name: str, size: int) -> list[str] | None:
    """Names of a feature's numbers, or None if they have none.

    Args:
        name: Name of the feature.
        size: Numbers per row.
    """
    if name == JOINTS:
        return [f"joint_{number}" for number in range(size)]
    return POSE_AXES if name.startswith(EXTRINSICS) else AXES.get(name)


@dataclass(frozen=True)
class Feature:
    """A feature of every row: numbers, a text, or a camera.

    Attributes:
        dtype: NumPy type name, or ``string``, ``image``, ``video``.
        shape: Shape of one row; (1,) for a single number.
        names: Names of the axes, in any of LeRobot's forms, or None.
        info: Properties of a video.
    """

    dtype: str
    shape: tuple[int, ...]
    names: Any = None
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def is_camera(self) -> bool:
        """Whether these are images of a colour camera."""
        depth = self.info.get("is_depth_map") or self.info.get("video.is_depth_map")
        return self.dtype in ("video", "image") and not depth and len(self.shape) == 3

    @property
    def axes(self) -> list[str]:
        """Names of its numbers from ``["x", …]``, ``{"axes": ["x", …]}`` or ``{"x": 0, …}``; empty if unknown."""
        names = self.names
        if isinstance(names, dict):
            lists = [each for each in names.values() if isinstance(each, list)]
            names = lists[0] if lists else list(names)
        return [str(each) for each in names] if isinstance(names, list) else []

    def entry(self) -> dict[str, Any]:
        """The feature's entry in info.json."""
        entry = {"dtype": self.dtype, "shape": list(self.shape), "names": self.names}
        return {**entry, "info": self.info} if self.info else entry


@dataclass(frozen=True, kw_only=True)
class Info:
    """Content of meta/info.json.

    Attributes:
        fps: Rows per second; in public sets not always the real rate, but the one that the files were made with.
        features: Features by name.
        data_path, video_path: Path templates.
        chunks_size: Files per folder.
        robot: Name of the robot, or "".
    """

    fps: float
    features: dict[str, Feature]
    data_path: str
    video_path: str
    chunks_size: int
    robot: str


def read_info(root: Path) -> Info:
    """Read meta/info.json.

    Raises:
        UserError: It is missing or damaged, or of another version of the format.
    """
    path = root / INFO
    if not path.exists() and (root / OLD_INFO).exists():
        path = root / OLD_INFO
    content = read_json_object(path)
    version = content.get("codebase_version")
    if not isinstance(version, str) or not version.startswith("v3."):
        raise UserError(
            f"{path}: codebase_version is {version!r}; vjepa-sim reads v3.0. Convert the set with lerobot's scripts, "
            f"one after another: {', '.join(_converters(str(version)))}."
        )
    fps, chunks, robot = content.get("fps"), content.get("chunks_size", 1000), content.get("robot_type")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 100_000:
        raise UserError(f"{path}: fps is {fps!r}; expected a positive number.")
    if isinstance(chunks, bool) or not isinstance(chunks, int) or chunks < 1:
        raise UserError(f"{path}: chunks_size is {chunks!r}; expected a positive whole number.")
    features, data_path = content.get("features"), content.get("data_path")
    if not isinstance(features, dict) or not isinstance(data_path, str):
        raise UserError(f"{path}: features must be an object, and data_path a string.")
    video_path = content.get("video_path")
    return Info(
        fps=float(fps),
        features={name: _read_feature(path, name, entry) for name, entry in features.items()},
        data_path=data_path,
        video_path=video_path if isinstance(video_path, str) else "",
        chunks_size=chunks,
        robot=robot if isinstance(robot, str) else "",
    )


def _converters(version: str) -> tuple[str, ...]:
    """Names of LeRobot's scripts that convert a set of a version to version 3."""
    first = 2 if version == "v2.1" else 1 if version == "v2.0" else 0
    return CONVERTERS[first:]


def _read_feature(path: Path, name: str, entry: object) -> Feature:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype, shape = fields.get("dtype"), fields.get("shape")
    sizes = isinstance(shape, list) and all(type(size) is int and 0 <= size <= 1_000_000 for size in shape)
    if not isinstance(dtype, str) or not isinstance(shape, list) or not sizes:
        raise UserError(f"{path}: feature {name} needs a dtype and a shape of whole numbers.")
    info = fields.get("info", fields.get("video_info"))
    return Feature(dtype, tuple(shape), fields.get("names"), info if isinstance(info, dict) else {})


def fill(template: str, values: Mapping[str, int | str]) -> str:
    """A relative path from a template such as ``data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet``.

    Raises:
        UserError: It has a field without a value, or leads out of the data set.
    """

    # Not str.format: a damaged template could access attributes, or request a billion digits.
    def one(match: re.Match) -> str:
        name, digits = match.groups()
        if name not in values:
            raise UserError(f"{INFO}: the path {template!r} has the field {name!r}; known are {', '.join(values)}.")
        return str(values[name]).zfill(int(digits or 0))

    path = re.sub(r"\{(\w+)(?::0?(\d)d)?\}", one, template)
    if not path or "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise UserError(f"{INFO}: the path {template!r} doesn't lead to a file of the data set.")
    return path


def fields_of(template: str) -> set[str]:
    """Names of a template's fields."""
    return set(re.findall(r"\{(\w+)", template))


def camera_roles(features: Mapping[str, Feature]) -> dict[str, str]:
    """Camera features by role.

    Our sets store the role if it isn't one of DROID's; cameras with DROID's names have DROID's roles. Others get roles
    by :func:`.assign_roles`, in sorted order; those with "wrist", "hand" or "gripper" in their names move with the end
    effector.
    """
    cameras = sorted(name for name, feature in features.items() if feature.is_camera)
    known = {role: IMAGES + name for role, name in CAMERAS.items() if IMAGES + name in cameras}
    known |= {str(role): name for name in cameras if is_role(role := features[name].info.get(ROLE))}
    others = [name for name in cameras if name not in known.values()]
    wrist = [name for name in others if re.search("wrist|hand|gripper", name.rsplit(".", 1)[-1].lower())]
    return assign_roles([name for name in others if name not in wrist], wrist, known)


def camera_name(role: str) -> str:
    """A camera's name in features, by its role."""
    return CAMERAS.get(role, role)


def own_name(prefix: str, name: str) -> str:
    """Feature name for one of our arrays; LeRobot forbids slashes."""
    return prefix + quote(name, safe="")


def own_names(prefix: str, features: Mapping[str, Feature]) -> dict[str, str]:
    """Names of our arrays by feature, for features with a prefix."""
    return {name: unquote(name.removeprefix(prefix)) for name in features if name.startswith(prefix)}


def own_columns(episode: Episode) -> dict[str, Any]:
    """An episode's values of :data:`OWN_COLUMNS`.

    Raises:
        UserError: Its details or its seed can't be written.
    """
    seed = None if episode.seed is None else int(episode.seed)
    if seed is not None and not -(2**63) <= seed < 2**63:
        raise UserError(f"the seed {seed} doesn't fit 64 bits.")
    return {
        NOTE: _write_note(episode),
        DURATION: float(episode.stamps[-1] - episode.stamps[0]),
        PERIOD: episode.period,
        OWN_SUCCESS: None if episode.success is None else bool(episode.success),
        SEED: seed,
        ARM_NAME: str(episode.details.get("arm", "")),
        GRIPPER_NAME: str(episode.details.get("gripper", "")),
    }


@dataclass(frozen=True)
class Note:
    """Episode fields without a place in LeRobot's format and not needed to open a data set, kept as JSON.

    Attributes:
        behavior, details: See :class:`.Episode`.
        cameras: Serial and intrinsics by role, in the episode's order.
    """

    behavior: str
    details: dict[str, Any]
    cameras: dict[str, tuple[str, np.ndarray | None]]


def _write_note(episode: Episode) -> str:
    content = {
        "behavior": episode.behavior,
        "cameras": {camera.role: _camera_note(camera) for camera in episode.cameras},
        "details": episode.details,
    }
    try:
        return json.dumps(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"the details can't be written as JSON ({error}).") from error


def _camera_note(camera: Camera) -> dict[str, Any]:
    matrix = camera.intrinsics
    return {"serial": camera.serial, "intrinsics": None if matrix is None else np.asarray(matrix, np.float64).tolist()}


def read_note(text: str) -> Note:
    """A note from its JSON.

    Raises:
        UserError: It is damaged.
    """
    try:
        content = parse_json_object(text.encode(), f"{EPISODES}: column {NOTE}")
        behavior, details, cameras = content["behavior"], content["details"], content["cameras"]
        noted = {role: (str(each["serial"]), _matrix(each["intrinsics"])) for role, each in cameras.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{EPISODES}: column {NOTE} is damaged ({error!r}).") from error
    if not isinstance(behavior, str) or not isinstance(details, dict) or not all(map(is_role, noted)):
        raise UserError(f"{EPISODES}: column {NOTE} is damaged.")
    return Note(behavior, details, noted)


def _matrix(rows: list | None) -> np.ndarray | None:
    return None if rows is None else np.array(rows, np.float64)
