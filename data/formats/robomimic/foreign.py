"""Episodes from demos of other writers, if they have the arrays that an episode needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.episode import Camera, Episode, as_serial, assign_roles
from vjepa_sim.data.files import parse_json_object
from vjepa_sim.data.formats.hdf5 import attribute_texts, find_array, find_group, has, names_in, numbers, spare_numbers
from vjepa_sim.data.formats.robomimic.frames import demo_frames, has_next
from vjepa_sim.data.formats.robomimic.writer import ENV_NAME
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

CONTROL_FREQUENCY = 20.0  # Hz, robosuite's default
PANDA_WIDTH = 0.08  # m between the open fingers of panda_hand
WRIST_NAMES = ("hand", "wrist")  # parts of wrist cameras' names
CONVENTIONS = {"opengl": True, "opencv": False}  # macros_image_convention, and whether images are upside down


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of the observations in a demo.

    Attributes:
        position: End-effector position [T, 3], metres.
        turn: Its rotation: quaternions [T, 4], x y z w, or rotation vectors [T, 3], radians.
        fingers: Finger positions.
        joints: Joint angles, optional.
        image: End of cameras' names.
    """

    position: str
    turn: str
    fingers: str
    joints: str
    image: str


ROBOSUITE = Names(
    position="robot0_eef_pos",
    turn="robot0_eef_quat",
    fingers="robot0_gripper_qpos",
    joints="robot0_joint_pos",
    image="_image",
)
LIBERO = Names(position="ee_pos", turn="ee_ori", fingers="gripper_states", joints="joint_states", image="_rgb")


@dataclass(frozen=True)
class About:
    """What a file's attributes have on all of its demos.

    Attributes:
        env: robomimic's ``env_args``.
        problem: LIBERO's ``problem_info``.
        convention: robosuite's ``macros_image_convention``, which LIBERO keeps; "" if missing.
    """

    env: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, Any] = field(default_factory=dict)
    convention: str = ""


def read_about(path: Path) -> About:
    """The attributes of a file's group ``data``.

    Raises:
        UserError: They are damaged.
    """
    names = ("env_args", "problem_info", "macros_image_convention")
    texts = attribute_texts(path, "data", names)
    about = About(
        env=parse_json_object(texts.get("env_args", "{}").encode(), f"{path}: data's attribute env_args"),
        problem=parse_json_object(texts.get("problem_info", "{}").encode(), f"{path}: data's attribute problem_info"),
        convention=texts.get("macros_image_convention", ""),
    )
    if not isinstance(about.env.get("env_kwargs", {}), dict):
        raise UserError(f"{path}: env_kwargs in data's attribute env_args must be a JSON object")
    return about


def foreign_episode(demo: h5py.Group, path: Path, *, where: str, about: About, extras: bool) -> Episode:
    """An episode from a demo's observations; see :class:`.RobomimicReader`.

    Args:
        demo: Group of an open file.
        path: Path of the file, for frames.
        where: Name of the demo in messages.
        about: The file's attributes.
        extras: Also read further observations.

    Raises:
        UserError: An array is missing, or contents are inconsistent.
    """
    if not has(demo, "obs"):
        raise UserError(
            "no group 'obs', as in a raw recording of robosuite. Make the observations with robomimic's "
            "dataset_states_to_obs.py"
        )
    observations = find_group(demo, "obs")
    names = LIBERO if has(observations, LIBERO.position) else ROBOSUITE
    cameras = _cameras(observations, names)
    missing = [name for name in (names.position, names.turn, names.fingers) if not has(observations, name)]
    if missing or not cameras:
        lacks = [*missing, *([] if cameras else [f"<camera>{names.image}"])]
        have = ", ".join(sorted(names_in(observations))) or "nothing"
        raise UserError(
            f"its obs lack {', '.join(lacks)}; they have {have}. Make them with robomimic's dataset_states_to_obs.py, "
            "from the raw recording"
        )
    upside_down = names is LIBERO and _is_upside_down(about)
    closedness, gripper = _closedness(demo, about.env, names)
    states = np.column_stack([_rows(demo, names.position, 3), _angles(demo, names), closedness])
    used = {names.position, names.turn, names.fingers, names.joints}
    return Episode(
        cameras=tuple(
            Camera(
                as_serial(name.removesuffix(names.image)),
                demo_frames(demo, name, path=path, where=where, upside_down=upside_down),
                role=role,
            )
            for role, name in cameras.items()
        ),
        states=states,
        stamps=np.arange(len(states)) / _frequency(about.env),
        joints=_rows(demo, names.joints, 7) if has(observations, names.joints) else None,
        task=_task(about),
        success=_success(demo),
        extras=_extras(demo, _others(observations, used, names), len(states)) if extras else {},
        details={"gripper": gripper},
    )


def _task(about: About) -> str:
    instruction = about.problem.get("language_instruction", "")
    if isinstance(instruction, list):  # LIBERO's own readers join it
        instruction = "".join(map(str, instruction))
    return str(instruction or about.env.get("env_name", ""))


def _is_upside_down(about: About) -> bool:
    if about.convention not in CONVENTIONS:
        raise UserError(
            f"data's attribute macros_image_convention is {about.convention or 'missing'}, so it is unknown whether "
            f"LIBERO's images are upside down; set it to {' or '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[about.convention]


def _cameras(observations: h5py.Group, names: Names) -> dict[str, str]:
    """Names of image observations by role."""
    found = sorted(name for name in names_in(observations) if name.endswith(names.image))
    wrist = [name for name in found if any(word in name for word in WRIST_NAMES)]
    others = sorted((name for name in found if name not in wrist), key=lambda name: ("agentview" not in name, name))
    return {
        role: f"{camera}{names.image}"
        for role, camera in assign_roles(
            [name.removesuffix(names.image) for name in others], [name.removesuffix(names.image) for name in wrist]
        ).items()
    }


def _angles(demo: h5py.Group, names: Names) -> np.ndarray:
    """Rotations [T, 3] as extrinsic "xyz" Euler angles."""
    if names is LIBERO:
        return Rotation.from_rotvec(_rows(demo, names.turn, 3)).as_euler("xyz")
    turns = _rows(demo, names.turn, 4)
    if not np.allclose(np.clip(turns, -2, 2) ** 2 @ np.ones(4), 1, atol=0.02):
        raise UserError(f"obs/{names.turn} holds quaternions whose length isn't 1")
    return Rotation.from_quat(turns).as_euler("xyz")


def _others(observations: h5py.Group, used: set[str], names: Names) -> list[str]:
    """Names of further observations that are numbers."""
    return [
        name
        for name in names_in(observations)
        if name not in used and not name.endswith(names.image) and find_array(observations, name).dtype.kind in "biufc"
    ]


def _extras(demo: h5py.Group, names: list[str], rows: int) -> dict[str, np.ndarray]:
    """Rows [T, …] of further observations; those that lack some are left out."""
    following = has_next(demo)
    found = spare_numbers(demo, [f"obs/{name}" for name in names], rows - following)
    if not following:
        return found
    after = spare_numbers(demo, [name.replace("obs/", "next_obs/", 1) for name in found], rows - 1)
    return {
        name: np.concatenate([each, last[-1:]])
        for name, each in found.items()
        if (last := after.get(name.replace("obs/", "next_obs/", 1))) is not None and last.shape == each.shape
    }


def _both(demo: h5py.Group, name: str) -> np.ndarray:
    """All rows [T, …] of an observation, the last one from ``next_obs`` if present."""
    rows = numbers(find_group(demo, "obs"), name)
    if not has_next(demo):
        return rows
    following = numbers(find_group(demo, "next_obs"), name)
    if following.shape != rows.shape or rows.ndim == 0:
        raise UserError(f"next_obs/{name} has the shape {following.shape}, obs/{name} {rows.shape}")
    return np.concatenate([rows, following[-1:]])


def _rows(demo: h5py.Group, name: str, width: int) -> np.ndarray:
    """An observation as float64 [T, width]."""
    rows = _both(demo, name)
    if rows.ndim != 2 or rows.shape[1] != width or rows.dtype.kind not in "iuf" or not np.all(np.isfinite(rows)):
        raise UserError(f"obs/{name} has the shape {rows.shape}; expected finite numbers (T, {width})")
    return rows.astype(np.float64)


def _closedness(demo: h5py.Group, env: dict[str, Any], names: Names) -> tuple[np.ndarray, str]:
    """Closedness [T], 0 open to 1 closed, and the name of the gripper."""
    fingers = _both(demo, names.fingers)
    if env.get("env_name") == ENV_NAME:
        return _rows(demo, names.fingers, 1)[:, 0], str(env.get("env_kwargs", {}).get("gripper", ""))
    robots = env.get("env_kwargs", {}).get("robots", [])
    named = [str(robot) for robot in (robots if isinstance(robots, list) else [robots])]
    others = [robot for robot in named if "panda" not in robot.lower()]
    if others:
        raise UserError(f"env_args has the robot {others[0]!r:.60}; only a Panda's fingers and arm are supported")
    if fingers.ndim != 2 or fingers.shape[1] != 2:
        raise UserError(f"obs/{names.fingers} has the shape {fingers.shape}; only panda_hand's (T, 2) is supported")
    width = np.abs(_rows(demo, names.fingers, 2)).sum(1)
    if np.any(width > 1.25 * PANDA_WIDTH):
        raise UserError(
            f"obs/{names.fingers} holds a width of {width.max():.3f} m; panda_hand opens to {PANDA_WIDTH} m"
        )
    return np.clip(1 - width / PANDA_WIDTH, 0, 1), "panda_hand"


def _success(demo: h5py.Group) -> bool | None:
    """Whether a reward is 1, if all are 0 or 1; None for others, such as dense ones, which are no success."""
    if not has(demo, "rewards"):
        return None
    rewards = numbers(demo, "rewards")
    return bool(np.any(rewards == 1)) if np.isin(rewards, (0, 1)).all() else None


def _frequency(env: dict[str, Any]) -> float:
    frequency = env.get("env_kwargs", {}).get("control_freq", CONTROL_FREQUENCY)
    if not isinstance(frequency, int | float) or not 0.01 < frequency < 10_000:
        raise UserError(f"env_args have the control_freq {frequency!r}; expected a number of hertz")
    return float(frequency)
