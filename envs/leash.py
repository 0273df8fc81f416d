"""The pose that a command is relative to, the same for the simulated and the real arm."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.pose import POSITION, ROTATION, rotation_vector

LEASH, TURNING_LEASH = 0.06, 0.2  # m, rad: largest lead of the commanded pose over the measured one
GRIPPER_DEADBAND = 0.1  # closedness: a smaller change leaves the fingers as they are


def leashed(commanded: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """The commanded state [7], its lead over the measured one [7] limited: no drift adds up, and no wind-up occurs."""
    commanded = commanded.copy()
    lead = commanded[POSITION] - measured[POSITION]
    distance = np.linalg.norm(lead)
    if distance > LEASH:
        commanded[POSITION] = measured[POSITION] + lead * (LEASH / distance)
    turn = rotation_vector(measured, commanded)
    angle = np.linalg.norm(turn)
    if angle > TURNING_LEASH:
        ahead = Rotation.from_rotvec(turn * (TURNING_LEASH / angle)) * Rotation.from_euler("xyz", measured[ROTATION])
        commanded[ROTATION] = ahead.as_euler("xyz")
    return commanded


def gripper_target(commanded: float, measured: float, change: float) -> float:
    """The closedness to command for a requested change.

    Fingers that hold something stay short of their command. So closing adds to the command (the grip stays firm),
    opening subtracts from the measured closedness (the fingers move at once), and a change within the deadband keeps
    the grip.
    """
    if abs(change) < GRIPPER_DEADBAND:
        return commanded
    if change > 0:
        return min(max(commanded, measured) + change, 1.0)
    return max(min(commanded, measured) + change, 0.0)
