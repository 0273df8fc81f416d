"""What is called what, and lies where, in a LeRobot v3 data set."""

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
from vjepa_sim.data.files import read_json_object
from vjepa_sim.envs.errors import UserError

INFO = "meta/info.json"
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

# Ours: LeRobot carries columns of the episodes and features that it doesn't know along.
NOTE = "vjepa_sim/note"  # JSON, see Note
DURATION, PERIOD = "vjepa_sim/duration", "vjepa_sim/period"  # s
TOLD, SEED, GRIPPER_NAME = "vjepa_sim/success", "vjepa_sim/seed", "vjepa_sim/gripper"
OWN_COLUMNS = {
    NOTE: "string",
    DURATION: "double",
    PERIOD: "double",
    TOLD: "bool",
    SEED: "int64",
    GRIPPER_NAME: "string",
}
STAMP = "vjepa_sim.stamp"
PRIVILEGED = "vjepa_sim.privileged."
EXTRAS = "vjepa_sim.extras."

CAMERAS = {"ext1": "exterior_1_left", "ext2": "exterior_2_left", "wrist": "wrist_left"}  # DROID's names by role
ROLE = "vjepa_sim.role"  # in a camera's info, where the role isn't DROID's
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
    """Names of a feature's numbers, or None where they have none.

    Args:
        name: the feature's.
        size: how many numbers each row has.
    """
    if name == JOINTS:
        return [f"joint_{number}" for number in range(size)]
    return POSE_AXES if name.startswith(EXTRINSICS) else AXES.get(name)


@dataclass(frozen=True)
class Feature:
    """One kind of number, or one camera, that every row has.

    Attributes:
        dtype: NumPy's name of a type, or ``string``, ``image``, ``video``.
        shape: of one row; one number has shape (1,).
        names: of the axes, in one of the many ways LeRobot writes them, or None.
        info: about a video.
    """

    dtype: str
    shape: tuple[int, ...]
    names: Any = None
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def is_camera(self) -> bool:
        """Whether it is a colour camera's pictures."""
        depth = self.info.get("is_depth_map") or self.info.get("video.is_depth_map")
        return self.dtype in ("video", "image") and not depth and len(self.shape) == 3

    @property
    def axes(self) -> list[str]:
        """Names of its numbers, as far as they are told: ``["x", …]``, ``{"axes": ["x", …]}``, ``{"x": 0, …}``."""
        names = self.names
        if isinstance(names, dict):
            lists = [each for each in names.values() if isinstance(each, list)]
            names = lists[0] if lists else list(names)
        return [str(each) for each in names] if isinstance(names, list) else []

    def entry(self) -> dict[str, Any]:
        """As info.json has it."""
        entry = {"dtype": self.dtype, "shape": list(self.shape), "names": self.names}
        return {**entry, "info": self.info} if self.info else entry


@dataclass(frozen=True, kw_only=True)
class Info:
    """What meta/info.json says.

    Attributes:
        fps: rows per second; not always the truth in sets on the web, but what the files were made with.
        features: by name.
        data_path, video_path: templates of paths.
        chunks_size: files to a folder.
        robot: as the set calls it, or "".
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
        UserError: it is missing or damaged, or of another version of the format.
    """
    path = root / INFO
    content = read_json_object(path)
    version = content.get("codebase_version")
    if not isinstance(version, str) or not version.startswith("v3."):
        raise UserError(
            f"{path}: codebase_version is {version!r}; vjepa-sim reads v3.0. Older sets are converted by lerobot's "
            "convert_dataset_v21_to_v30."
        )
    fps, chunks, robot = content.get("fps"), content.get("chunks_size", 1000), content.get("robot_type")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 100_000:
        raise UserError(f"{path}: fps is {fps!r}; expected a positive number.")
    if isinstance(chunks, bool) or not isinstance(chunks, int) or chunks < 1:
        raise UserError(f"{path}: chunks_size is {chunks!r}; expected a positive whole number.")
    features, data_path = content.get("features"), content.get("data_path")
    if not isinstance(features, dict) or not isinstance(data_path, str):
        raise UserError(f"{path}: features and data_path are expected, an object and a string.")
    video_path = content.get("video_path")
    return Info(
        fps=float(fps),
        features={name: _read_feature(path, name, entry) for name, entry in features.items()},
        data_path=data_path,
        video_path=video_path if isinstance(video_path, str) else "",
        chunks_size=chunks,
        robot=robot if isinstance(robot, str) else "",
    )


def _read_feature(path: Path, name: str, entry: object) -> Feature:
    dtype, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
    sizes = isinstance(shape, list) and all(type(size) is int and 0 <= size <= 1_000_000 for size in shape)
    if not isinstance(dtype, str) or not sizes:
        raise UserError(f"{path}: feature {name} needs a dtype and a shape of whole numbers.")
    info = entry.get("info", entry.get("video_info"))
    return Feature(dtype, tuple(shape), entry.get("names"), info if isinstance(info, dict) else {})


def fill(template: str, values: Mapping[str, int | str]) -> str:
    """A relative path from a template such as ``data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet``.

    Raises:
        UserError: it asks for something else than the values given, or leads out of the data set.
    """

    # Not str.format: a damaged template could ask it for attributes, or a billion digits.
    def one(match: re.Match) -> str:
        name, digits = match.groups()
        if name not in values:
            raise UserError(f"{INFO}: the path {template!r} asks for {name!r}; known are {', '.join(values)}.")
        return str(values[name]).zfill(int(digits or 0))

    path = re.sub(r"\{(\w+)(?::0?(\d)d)?\}", one, template)
    if not path or "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise UserError(f"{INFO}: the path {template!r} doesn't lead to a file of the data set.")
    return path


def fields_of(template: str) -> set[str]:
    """Names that a template asks for."""
    return set(re.findall(r"\{(\w+)", template))


def camera_roles(features: Mapping[str, Feature]) -> dict[str, str]:
    """Which feature is the camera of which role.

    Our sets give the role where it isn't DROID's, and DROID's names keep DROID's roles. Others have roles by
    :func:`.assign_roles`, in sorted order; those with "wrist", "hand" or "gripper" in their names move with the end
    effector.
    """
    cameras = sorted(name for name, feature in features.items() if feature.is_camera)
    known = {role: IMAGES + name for role, name in CAMERAS.items() if IMAGES + name in cameras}
    known |= {str(role): name for name in cameras if is_role(role := features[name].info.get(ROLE))}
    others = [name for name in cameras if name not in known.values()]
    wrist = [name for name in others if re.search("wrist|hand|gripper", name.rsplit(".", 1)[-1].lower())]
    return assign_roles([name for name in others if name not in wrist], wrist, known)


def camera_name(role: str) -> str:
    """A camera's name in features, from its role."""
    return CAMERAS.get(role, role)


def own_name(prefix: str, name: str) -> str:
    """A feature's name for one of ours; LeRobot forbids slashes."""
    return prefix + quote(name, safe="")


def own_names(prefix: str, features: Mapping[str, Feature]) -> dict[str, str]:
    """Features with a prefix: from their names to ours."""
    return {name: unquote(name.removeprefix(prefix)) for name in features if name.startswith(prefix)}


def own_columns(episode: Episode) -> dict[str, Any]:
    """An episode's values of :data:`OWN_COLUMNS`.

    Raises:
        UserError: its details or its seed can't be written.
    """
    seed = None if episode.seed is None else int(episode.seed)
    if seed is not None and not -(2**63) <= seed < 2**63:
        raise UserError(f"the seed {seed} doesn't fit 64 bits.")
    return {
        NOTE: _write_note(episode),
        DURATION: float(episode.stamps[-1] - episode.stamps[0]),
        PERIOD: episode.period,
        TOLD: None if episode.success is None else bool(episode.success),
        SEED: seed,
        GRIPPER_NAME: str(episode.details.get("gripper", "")),
    }


@dataclass(frozen=True)
class Note:
    """What LeRobot has no place for and opening a data set doesn't need: kept as JSON, with every digit.

    Attributes:
        behavior, details: the episode's.
        cameras: role to serial and intrinsics, in the episode's order.
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
        UserError: it is damaged.
    """
    try:
        content = json.loads(text)
        behavior, details, cameras = content["behavior"], content["details"], content["cameras"]
        noted = {role: (str(each["serial"]), _matrix(each["intrinsics"])) for role, each in cameras.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{EPISODES}: column {NOTE} is damaged ({error!r}).") from error
    if not isinstance(behavior, str) or not isinstance(details, dict) or not all(map(is_role, noted)):
        raise UserError(f"{EPISODES}: column {NOTE} is damaged.")
    return Note(behavior, details, noted)


def _matrix(rows: list | None) -> np.ndarray | None:
    return None if rows is None else np.array(rows, np.float64)
