"""Where a gripper must be to hold the object: the geometry that tasks and the scripted expert share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.grippers import GripperSpec

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

LIFT = 0.12  # m that a grasped object is lifted in goal images


def pointing_down(position: np.ndarray, yaw: float, closedness: float, gripper: GripperSpec) -> np.ndarray:
    """The state [7] of a flange at ``position`` [3] whose gripper points straight down.

    Args:
        position: metres, base frame.
        yaw: radians by which the line along which the fingers open is turned from y.
        closedness: 0 open to 1 closed.
        gripper: on the flange.
    """
    turn = pose.euler_to_matrix(np.array([0, 0, yaw + gripper.mount_yaw])) @ pose.euler_to_matrix(
        np.array([np.pi, 0, 0])
    )
    return np.concatenate([position, pose.matrix_to_euler(turn), [closedness]])


def grasp_state(simulation: Simulation) -> np.ndarray:
    """The state [7] in which the open fingers stand around the object where it is now.

    Raises:
        UserError: the object can't be grasped.
    """
    grasp = simulation.object.held("grasp")
    matrix = simulation.object_matrix()
    yaw = grasp.yaw(float(np.arctan2(matrix[1, 0], matrix[0, 0])))
    lift = simulation.gripper.flange_to_pad + grasp.height
    return pointing_down(simulation.object_position() + [0, 0, lift], yaw, 0.0, simulation.gripper)


def grasp_distance(simulation: Simulation) -> float:
    """Metres from the flange to where it must be to hold the object."""
    return float(np.linalg.norm(simulation.state()[pose.POSITION] - grasp_state(simulation)[pose.POSITION]))


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
    return simulation.fingers_touching() == 2 and simulation.object_position()[2] > simulation.object_half_height + 0.01
