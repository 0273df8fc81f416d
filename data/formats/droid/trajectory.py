"""Rows of an episode in trajectory.h5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.camera_arrays import EXTRINSICS, INTRINSICS, rename_leaf
from vjepa_sim.data.formats.droid.layout import RATE
from vjepa_sim.data.formats.hdf5 import find_group, floats, has, names_in, numbers, readable, spare_numbers
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

STATES = "observation/robot_state/cartesian_position"
CLOSEDNESS = "observation/robot_state/gripper_position"
JOINTS = "observation/robot_state/joint_positions"
STAMPS, SECONDS = "observation/timestamp/robot_state/read_start", "vjepa_sim/stamp"
COMMANDS, COMMANDED_CLOSEDNESS = "action/cartesian_position", "action/gripper_position"
CAMERA_FIELDS = (f"{EXTRINSICS}/", f"{INTRINSICS}/")
FIELDS = (STATES, CLOSEDNESS, JOINTS, SECONDS, COMMANDS, COMMANDED_CLOSEDNESS)  # of an episode itself
PRIVILEGED, EXTRAS = "vjepa_sim/privileged", "vjepa_sim/extras"
DROIDS_UNIT = "milliseconds"
UNITS = {DROIDS_UNIT: 1e3, "seconds": 1.0, "microseconds": 1e6, "nanoseconds": 1e9}  # in a second
FASTEST, SLOWEST = 0.005, 2.0  # s: plausible time between two rows


def read_rows(file: h5py.File, roles: dict[str, str] | None) -> dict:
    """Arrays of an episode by the names of its fields, all with T rows.

    Args:
        file: Open trajectory.h5.
        roles: If not None, also read every array without a field of its own, by path; those named by a camera get the
            name of its role by this table of serials.

    Raises:
        UserError: An array is missing, or contents are inconsistent.
    """
    count, stamps, _ = check_rows(file)
    rows = {
        "states": read_states(file, count),
        "stamps": stamps,
        "commands": _finite(_poses(file, COMMANDS, COMMANDED_CLOSEDNESS, count)) if has(file, COMMANDS) else None,
        "joints": _finite(floats(file, JOINTS, (count, None))) if has(file, JOINTS) else None,
        "privileged": _below(file, PRIVILEGED, count),
    }
    return {**rows, "extras": {} if roles is None else _others(file, count, roles)}


def _finite(values: np.ndarray) -> np.ndarray | None:
    """Values of which an episode may have none: unknown where one isn't finite."""
    return values if np.all(np.isfinite(values)) else None


def check_rows(file: h5py.File) -> tuple[int, np.ndarray, str]:
    """The number of rows, their stamps [T] in seconds, and a remark on them, or "".

    Raises:
        UserError: The recording was aborted, is too short, or its stamps don't increase or have no plausible unit.
    """
    if not has(file, "action"):
        raise UserError("no group 'action': the recording was aborted. Remove the folder.")
    count = len(numbers(file, CLOSEDNESS))
    if count < 2:
        raise UserError(f"an episode needs at least 2 rows; it has {count}.")
    stamps, remark = _read_stamps(file, count)
    wrong = np.flatnonzero(~(np.diff(stamps) > 0) | ~np.isfinite(stamps[1:]))
    if len(wrong):
        raise UserError(f"the stamps don't increase from row {wrong[0]} to row {wrong[0] + 1}.")
    return count, stamps, remark


def _read_stamps(file: h5py.File, count: int) -> tuple[np.ndarray, str]:
    """Stamps [T] in seconds: our own, or the robot's, or from 15 rows a second; and a remark on them, or ""."""
    if has(file, SECONDS):
        return floats(file, SECONDS, (count,)), ""
    if not has(file, STAMPS):
        return np.arange(count) / RATE, ""
    raw = floats(file, STAMPS, (count,))
    apart = float(np.median(np.diff(raw)))
    unit = next((unit for unit, each in UNITS.items() if FASTEST <= apart / each <= SLOWEST), None)
    if unit is None and apart > 0:
        readings = ", ".join(f"{apart / each:.3g} s in {unit}" for unit, each in UNITS.items())
        raise UserError(
            f"the unit of {STAMPS} is unknown: rows would be {readings} apart; {FASTEST} to {SLOWEST:.0f} s are "
            "plausible. DROID's unit is milliseconds; correct the stamps."
        )
    unit = unit or DROIDS_UNIT  # stamps that don't increase are an error in any unit
    remark = f"{STAMPS} is taken as {unit}: in {DROIDS_UNIT}, rows would be {apart / UNITS[DROIDS_UNIT]:.6g} s apart"
    return raw / UNITS[unit], "" if unit == DROIDS_UNIT else remark


def read_states(file: h5py.File, count: int) -> np.ndarray:
    """States float64 [T, 7].

    Raises:
        UserError: They are missing or have another shape.
    """
    return _poses(file, STATES, CLOSEDNESS, count)


def _poses(file: h5py.File, poses: str, closedness: str, count: int) -> np.ndarray:
    """States float64 [T, 7] from two arrays [T, 6] and [T]."""
    return np.column_stack([floats(file, poses, (count, 6)), floats(file, closedness, (count,))])


def _below(file: h5py.File, group: str, count: int) -> dict[str, np.ndarray]:
    """Arrays of a group by name; empty if there is no such group."""
    if not has(file, group):
        return {}
    return {name: numbers(file, f"{group}/{name}", count) for name in names_in(find_group(file, group))}


def _others(file: h5py.File, count: int, roles: dict[str, str]) -> dict[str, np.ndarray]:
    """Every array without a field of its own, by path."""
    taken = {*FIELDS}
    if not has(file, SECONDS):  # otherwise the robot's clock is an extra
        taken.add(STAMPS)
    leaves: list[str] = []
    file.visititems(lambda name, item: leaves.append(readable(name)) if hasattr(item, "shape") else None)
    others = [
        name
        for name in leaves
        if name not in taken
        and not name.startswith("vjepa_sim/")
        and not (name.startswith(CAMERA_FIELDS) and name.endswith("_left"))
    ]
    extras = {rename_leaf(name, roles): each for name, each in spare_numbers(file, others, count).items()}
    ours = [name for name in leaves if name.startswith(f"{EXTRAS}/")]  # their names may have slashes
    return extras | {name.removeprefix(f"{EXTRAS}/"): numbers(file, name, count) for name in ours}
