"""Rows of an episode in trajectory.h5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.formats.droid.layout import RATE
from vjepa_sim.data.formats.hdf5 import find_group, names_in, numbers, readable
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

STATES = "observation/robot_state/cartesian_position"
CLOSEDNESS = "observation/robot_state/gripper_position"
JOINTS = "observation/robot_state/joint_positions"
STAMPS, SECONDS = "observation/timestamp/robot_state/read_start", "vjepa_sim/stamp"
COMMANDS, COMMANDED_CLOSEDNESS = "action/cartesian_position", "action/gripper_position"
CAMERA_GROUPS = ("observation/camera_extrinsics/", "observation/camera_intrinsics/")
PRIVILEGED, EXTRAS = "vjepa_sim/privileged", "vjepa_sim/extras"


def read_rows(file: h5py.File, extras: bool) -> dict:
    """Arrays of an episode by the names of its fields, all with T rows.

    Args:
        file: Open trajectory.h5.
        extras: Also read every array without a field of its own, by path.

    Raises:
        UserError: An array is missing, or contents are inconsistent.
    """
    count, stamps = check_rows(file)
    rows = {
        "states": _poses(file, STATES, CLOSEDNESS, count),
        "stamps": stamps,
        "commands": _poses(file, COMMANDS, COMMANDED_CLOSEDNESS, count) if COMMANDS in file else None,
        "joints": numbers(file, JOINTS, count).astype(np.float64) if JOINTS in file else None,
        "privileged": _below(file, PRIVILEGED, count),
    }
    return {**rows, "extras": _others(file, count) if extras else {}}


def check_rows(file: h5py.File) -> tuple[int, np.ndarray]:
    """The number of rows, and their stamps [T] in seconds.

    Raises:
        UserError: The recording was aborted, is too short, or its stamps don't increase.
    """
    if "action" not in file:
        raise UserError("no group 'action': the recording was aborted. Remove the folder.")
    count = len(numbers(file, CLOSEDNESS))
    if count < 2:
        raise UserError(f"an episode needs at least 2 rows; it has {count}.")
    stamps = _read_stamps(file, count)
    wrong = np.flatnonzero(~(np.diff(stamps) > 0) | ~np.isfinite(stamps[1:]))
    if len(wrong):
        raise UserError(f"the stamps don't increase from row {wrong[0]} to row {wrong[0] + 1}.")
    return count, stamps


def _read_stamps(file: h5py.File, count: int) -> np.ndarray:
    """Stamps [T] in seconds: our own, or from the robot's in milliseconds, or from 15 rows a second."""
    if SECONDS in file:
        return numbers(file, SECONDS, count).astype(np.float64)
    if STAMPS in file:
        return numbers(file, STAMPS, count) / 1000.0
    return np.arange(count) / RATE


def _poses(file: h5py.File, poses: str, closedness: str, count: int) -> np.ndarray:
    """States float64 [T, 7] from two arrays [T, 6] and [T]."""
    first, last = numbers(file, poses, count), numbers(file, closedness, count)
    if first.shape != (count, 6) or last.shape != (count,):
        raise UserError(f"{poses} has the shape {first.shape} and {closedness} {last.shape}.")
    return np.column_stack([first, last]).astype(np.float64)


def _below(file: h5py.File, group: str, count: int) -> dict[str, np.ndarray]:
    """Arrays of a group by name; empty if there is no such group."""
    if group not in file:
        return {}
    return {name: numbers(file, f"{group}/{name}", count) for name in names_in(find_group(file, group))}


def _others(file: h5py.File, count: int) -> dict[str, np.ndarray]:
    """Every array without a field of its own, by path."""
    taken = {STATES, CLOSEDNESS, JOINTS, SECONDS, COMMANDS, COMMANDED_CLOSEDNESS}
    if SECONDS not in file:  # otherwise the robot's clock is an extra
        taken.add(STAMPS)
    leaves: list[str] = []
    file.visititems(lambda name, item: leaves.append(readable(name)) if hasattr(item, "shape") else None)
    others = [
        name
        for name in leaves
        if name not in taken
        and not name.startswith("vjepa_sim/")
        and not (name.startswith(CAMERA_GROUPS) and name.endswith("_left"))
    ]
    return {name: numbers(file, name, count) for name in others} | _below(file, EXTRAS, count)
