"""Geometry of grasps, shared by the tasks and the scripted expert."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.grippers import GripperSpec

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

LIFT = 0.12  # m by which a grasped object is lifted in goal images


def pointing_down(position: np.ndarray, yaw: float, closedness: float, gripper: GripperSpec) -> np.ndarray:
    """The state [7] of a flange at ``position`` [3] whose gripper points straight down.

    Args:
        position: flange position [3], metres, base frame.
        yaw: angle from the y axis to the line along which the fingers open, radians.
        closedness: 0 open to 1 closed.
        gripper: gripper on the flange.
    """
    turn = pose.euler_to_matrix(np.array([0, 0, yaw + gripper.mount_yaw])) @ pose.euler_to_matrix(
        np.array([np.pi, 0, 0])
    )
    return np.concatenate([position, pose.matrix_to_euler(turn), [closedness]])


def grasp_state(simulation: Simulation) -> np.ndarray:
    """The grasp state [7]: the open fingers are on both sides of the object.

    Raises:
        UserError: the object can't be grasped.
    """
    grasp = simulation.object.held("grasp")
    matrix = simulation.object_matrix()
    yaw = grasp.yaw(float(np.arctan2(matrix[1, 0], matrix[0, 0])))
    lift = simulation.gripper.flange_to_pad + grasp.height
    return pointing_down(simulation.object_position() + [0, 0, lift], yaw, 0.0, simulation.gripper)


def grasp_distance(simulation: Simulation) -> float:
    """Distance from the flange to its position in :func:`grasp_state`, metres."""
    return float(np.linalg.norm(simulation.state()[pose.POSITION] - grasp_state(simulation)[pose.POSITION]))


def grasp_at_once(simulation: Simulation, on_moment: Callable[[str], None] = lambda moment: None) -> bool:
    """Put the open gripper around the standing object, close it, and lift the object by :data:`LIFT`.

    This creates start states and goal images. Returns whether both fingers hold the object afterwards.

    Args:
        simulation: simulation, changed in place.
        on_moment: called with the names of the moments "at object", "closed" and "grasped".
    """
    simulation.place_flange(grasp_state(simulation))
    on_moment("at object")
    target = simulation.target.copy()
    target[pose.GRIPPER] = 1.0
    for _ in range(3):
        simulation.advance(target)
    on_moment("closed")
    carry(simulation, target[pose.POSITION] + [0, 0, LIFT])
    on_moment("grasped")
    return is_held(simulation)


def carry(simulation: Simulation, position: np.ndarray, stride: float = 0.06) -> None:
    """Move the flange to ``position`` [3] along a straight line, at most ``stride`` metres per period, then settle."""
    start = simulation.target.copy()
    steps = max(1, int(np.ceil(np.linalg.norm(position - start[pose.POSITION]) / stride)))
    for i in range(1, steps + 1):
        target = start.copy()
        target[pose.POSITION] += (position - start[pose.POSITION]) * i / steps
        simulation.advance(target)
    simulation.advance(simulation.target)


def is_held(simulation: Simulation) -> bool:
    """Whether both fingers touch the object, and it does not stand on the table."""
    return simulation.fingers_touching() == 2 and simulation.object_position()[2] > simulation.object_half_height + 0.01
