"""Corrections of common mistakes in a camera's poses: functions from poses [T, 6] to corrected ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

Poses = Callable[[np.ndarray], np.ndarray]


def _inverted(poses: np.ndarray) -> np.ndarray:
    turn = Rotation.from_euler("xyz", poses[:, 3:]).inv()
    return np.concatenate([-turn.apply(poses[:, :3]), turn.as_euler("xyz")], axis=1)


def _mirrored(poses: np.ndarray) -> np.ndarray:
    """Poses of a camera on the robot's other side."""
    turn = np.diag([1, -1, 1]) @ Rotation.from_euler("xyz", poses[:, 3:]).as_matrix() @ np.diag([-1, 1, 1])
    return np.concatenate([poses[:, :3] * [1, -1, 1], Rotation.from_matrix(turn).as_euler("xyz")], axis=1)


def _in_radians(poses: np.ndarray) -> np.ndarray:
    return np.concatenate([poses[:, :3], np.radians(poses[:, 3:])], axis=1)


def _turned(axis: str, degrees: float) -> Poses:
    turn = Rotation.from_euler(axis, degrees, degrees=True)

    def change(poses: np.ndarray) -> np.ndarray:
        turned = Rotation.from_euler("xyz", poses[:, 3:]) * turn
        return np.concatenate([poses[:, :3], turned.as_euler("xyz")], axis=1)

    return change


def _moved(axis: int, metres: float) -> Poses:
    step = metres * np.eye(3)[axis]

    def change(poses: np.ndarray) -> np.ndarray:
        moved = poses[:, :3] + Rotation.from_euler("xyz", poses[:, 3:]).apply(step)
        return np.concatenate([moved, poses[:, 3:]], axis=1)

    return change


WHOLE: dict[str, Poses] = {
    "inverted (world to camera)": _inverted,
    "with angles taken as degrees": _in_radians,
    "with positions taken as millimetres": lambda poses: poses * ([0.001] * 3 + [1] * 3),
}
# Used where the poses of the camera on the other side are unknown.
OTHER_SIDE: dict[str, Poses] = {"mirrored (the other side's camera)": _mirrored}
# Without a camera moved down: it would show the gripper where the arm is, which moves as well and sometimes more.
SMALL: dict[str, Poses] = {
    f"turned by {degrees:+d}° about its {axis} axis": _turned(axis, degrees) for axis in "xyz" for degrees in (-20, 20)
} | {
    f"moved by {metres:+.1f} m along its {'xyz'[axis]} axis": _moved(axis, metres)
    for axis, metres in ((0, -0.2), (0, 0.2), (1, -0.2), (2, -0.2), (2, 0.2))
}
