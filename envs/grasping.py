"""Where a hand must be to hold the object: the geometry that tasks and the scripted expert share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs import pose
from envs.simulation import Simulation

# Metres from the flange down to the middle of the finger pads, when they hold something.
FLANGE_TO_PAD = {"robotiq": 0.138, "panda_hand": 0.097}
LIFT = 0.12  # m that a grasped object is lifted in goal images
CUP_GRASP_ABOVE_CENTER = 0.012  # m: a cup is held in its upper half, so that it hangs upright


def pointing_down(position: np.ndarray, yaw: float, closedness: float, gripper: str) -> np.ndarray:
    """The state [7] of a hand that points straight down, its fingers opening along y turned by ``yaw``."""
    if gripper == "panda_hand":
        yaw = yaw - np.pi / 4  # its mount on the flange
    turn = pose.euler_to_matrix(np.array([0, 0, yaw])) @ pose.euler_to_matrix(np.array([np.pi, 0, 0]))
    return np.concatenate([position, pose.matrix_to_euler(turn), [closedness]])


def grasp_state(simulation: Simulation) -> np.ndarray:
    """The state [7] in which the open fingers stand around the object where it is now."""
    center = simulation.object_position()
    lift = FLANGE_TO_PAD[simulation.gripper]
    if simulation.object_name == "cup":
        lift += CUP_GRASP_ABOVE_CENTER
        yaw = 0.0  # a cup looks the same from every side
    else:
        matrix = simulation.object_matrix()
        yaw = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
        yaw = (yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4  # the nearest pair of faces
    return pointing_down(center + [0, 0, lift], yaw, 0.0, simulation.gripper)


def grasp_at_once(simulation: Simulation, photograph: Callable[[str], None] = lambda moment: None) -> bool:
    """Put the open hand around the standing object, close it, and lift the object by :data:`LIFT`.

    Used to make start states and goal images. Returns whether both fingers hold the object afterwards.

    Args:
        simulation: changed in place.
        photograph: called at the moments "at object", "closed" and "grasped".
    """
    simulation.place_flange(grasp_state(simulation))
    photograph("at object")
    target = simulation.target.copy()
    target[pose.GRIPPER] = 1.0
    for _ in range(3):
        simulation.advance(target)
    photograph("closed")
    carry(simulation, target[pose.POSITION] + [0, 0, LIFT])
    photograph("grasped")
    return is_held(simulation)


def carry(simulation: Simulation, position: np.ndarray, stride: float = 0.06) -> None:
    """Move the flange to ``position`` [3] in a straight line, at most ``stride`` metres a period, then settle."""
    start = simulation.target.copy()
    steps = max(1, int(np.ceil(np.linalg.norm(position - start[pose.POSITION]) / stride)))
    for i in range(1, steps + 1):
        target = start.copy()
        target[pose.POSITION] += (position - start[pose.POSITION]) * i / steps
        simulation.advance(target)
    simulation.advance(simulation.target)


def is_held(simulation: Simulation) -> bool:
    """Both fingers touch the object, and it doesn't stand on the table."""
    return (
        simulation.fingers_touching() == 2 and simulation.object_position()[2] > simulation.object_half_height() + 0.01
    )
