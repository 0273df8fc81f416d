"""Episodes from demos of other writers, if they have the arrays that an episode needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.episode import Camera, Episode, assign_roles
from vjepa_sim.data.formats.hdf5 import find_array, find_group, names_in, numbers
from vjepa_sim.data.formats.robomimic.frames import demo_frames, has_next
from vjepa_sim.data.formats.robomimic.writer import ENV_NAME
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

CONTROL_FREQUENCY = 20.0  # Hz, robosuite's default
PANDA_WIDTH = 0.08  # m between the open fingers of panda_hand
WRIST_NAMES = ("hand", "wrist")  # parts of wrist cameras' names
POSITION, TURN, FINGERS, JOINTS = "robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", "robot0_joint_pos"


def foreign_episode(demo: h5py.Group, path: Path, *, where: str, env: dict[str, Any], extras: bool) -> Episode:
    """An episode from a demo's observations; see :class:`.RobomimicReader`.

    Args:
        demo: Group of an open file.
        path: Path of the file, for frames.
        where: Name of the demo in messages.
        env: robomimic's ``env_args``.
        extras: Also read further observations.

    Raises:
        UserError: An array is missing, or contents are inconsistent.
    """
    observations = find_group(demo, "obs")
    cameras = _cameras(observations)
    missing = [name for name in (POSITION, TURN, FINGERS) if name not in observations]
    if missing or not cameras:
        lacks = [*missing, *([] if cameras else ["<camera>_image"])]
        have = ", ".join(sorted(names_in(observations))) or "nothing"
        raise UserError(f"its obs lack {', '.join(lacks)}; they have {have}. Extract the observations with robomimic")
    turns = _rows(demo, TURN, 4)
    if not np.allclose(np.clip(turns, -2, 2) ** 2 @ np.ones(4), 1, atol=0.02):
        raise UserError(f"obs/{TURN} holds quaternions whose length isn't 1")
    closedness, gripper = _closedness(demo, env)
    states = np.column_stack([_rows(demo, POSITION, 3), Rotation.from_quat(turns).as_euler("xyz"), closedness])
    used = {POSITION, TURN, FINGERS, JOINTS}
    return Episode(
        cameras=tuple(
            Camera(name.removesuffix("_image"), demo_frames(demo, name, path, where), role=role)
            for role, name in cameras.items()
        ),
        states=states,
        stamps=np.arange(len(states)) / _frequency(env),
        joints=_rows(demo, JOINTS, 7) if JOINTS in observations else None,
        task=str(env.get("env_name", "")),
        success=_success(demo),
        extras={f"obs/{name}": _both(demo, name) for name in _others(observations, used)} if extras else {},
        details={"gripper": gripper},
    )


def _cameras(observations: h5py.Group) -> dict[str, str]:
    """Names of image observations by role."""
    names = sorted(name for name in names_in(observations) if name.endswith("_image"))
    wrist = [name for name in names if any(word in name for word in WRIST_NAMES)]
    others = sorted((name for name in names if name not in wrist), key=lambda name: ("agentview" not in name, name))
    return {
        role: f"{camera}_image"
        for role, camera in assign_roles(
            [name.removesuffix("_image") for name in others], [name.removesuffix("_image") for name in wrist]
        ).items()
    }


def _others(observations: h5py.Group, used: set[str]) -> list[str]:
    """Names of further observations that are numbers."""
    return [
        name
        for name in names_in(observations)
        if name not in used and not name.endswith("_image") and find_array(observations, name).dtype.kind in "biufc"
    ]


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


def _closedness(demo: h5py.Group, env: dict[str, Any]) -> tuple[np.ndarray, str]:
    """Closedness [T], 0 open to 1 closed, and the name of the gripper."""
    fingers = _both(demo, FINGERS)
    if env.get("env_name") == ENV_NAME:
        return _rows(demo, FINGERS, 1)[:, 0], str(env.get("env_kwargs", {}).get("gripper", ""))
    if fingers.ndim != 2 or fingers.shape[1] != 2:
        raise UserError(f"obs/{FINGERS} has the shape {fingers.shape}; only panda_hand's (T, 2) is supported")
    width = np.abs(_rows(demo, FINGERS, 2)).sum(1)
    if np.any(width > 1.25 * PANDA_WIDTH):
        raise UserError(f"obs/{FINGERS} holds a width of {width.max():.3f} m; panda_hand opens to {PANDA_WIDTH} m")
    return np.clip(1 - width / PANDA_WIDTH, 0, 1), "panda_hand"


def _success(demo: h5py.Group) -> bool | None:
    if "rewards" not in demo:
        return None
    return bool(np.any(np.real(numbers(demo, "rewards")) > 0))


def _frequency(env: dict[str, Any]) -> float:
    frequency = env.get("env_kwargs", {}).get("control_freq", CONTROL_FREQUENCY)
    if not isinstance(frequency, int | float) or not 0.01 < frequency < 10_000:
        raise UserError(f"env_args have the control_freq {frequency!r}; expected a number of hertz")
    return float(frequency)
