"""The contract of a robot driver, whichever library talks to the robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.faults import ArmFault, NotFinite, Reflex, UserStopped
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.robot import RobotState

COLLISION_TORQUE, COLLISION_FORCE = 40.0, 40.0  # Nm and N at which the robot's own reflex stops it, as in DROID
IDLE, MOVING, USER_STOPPED, REFLEX = "Idle", "Move", "UserStopped", "Reflex"


class Driver(Protocol):
    """A robot under impedance control. Methods raise :class:`.ArmFault`.

    During a motion, :meth:`read`, :meth:`check`, :meth:`follow` and :meth:`follow_joints` never wait for the network.

    Attributes:
        description: name and version of the library that talks to the robot.
    """

    description: str

    def read(self) -> RobotState:
        """The newest state; during a motion the last copy."""
        ...

    def start(self, max_force: float) -> None:
        """Start to hold the present pose; the robot's own loop ends the motion if a force exceeds ``max_force`` (N)."""
        ...

    def follow(self, pose: np.ndarray) -> None:
        """Move the reference of :meth:`start` to a flange pose [4, 4]; small steps only."""
        ...

    def start_joints(self, max_force: float) -> None:
        """Start to hold the present joints, otherwise as :meth:`start`."""
        ...

    def follow_joints(self, joints: np.ndarray, speeds: np.ndarray) -> None:
        """Move the reference of :meth:`start_joints` to joints [7], rad, with speeds [7], rad/s; small steps only."""
        ...

    def check(self) -> None:
        """Raise the fault that has ended the motion, if any."""
        ...

    def stop(self) -> None:
        """Bring the arm to rest and end the motion. Safe to call at any time, also after a fault."""
        ...

    def close(self) -> None:
        """Bring the arm to rest and disconnect."""
        ...


@dataclass(frozen=True)
class DriverSpec:
    """A client library of the robot.

    Attributes:
        name: name on the command line.
        connect: connects to the control box at an address without moving the robot; returns its :class:`Driver`.
    """

    name: str
    connect: Callable[[str], Driver]


DRIVERS: Registry[DriverSpec] = Registry("driver", DriverSpec)


def needs_in(mode: str) -> str:
    """What a person must do before a robot in this mode accepts motions, see :attr:`.RobotState.needs`."""
    return "" if mode in (IDLE, MOVING) else "unlock the joints and activate FCI in Desk"


def check_mode(mode: str) -> None:
    """Raise :class:`.ArmFault` if a robot in this mode accepts no motion."""
    if mode == USER_STOPPED:
        raise UserStopped("The robot is stopped by its button or enabling device.")
    if mode == REFLEX:
        raise Reflex("The robot has stopped itself and waits for recovery.")
    if mode not in (IDLE, MOVING):
        raise ArmFault(f"The robot is in mode {mode}; expected {IDLE}.")


def check_pose(pose: np.ndarray) -> None:
    """Raise :class:`.NotFinite` unless a reference pose [4, 4] is finite."""
    if not np.all(np.isfinite(pose)):
        raise NotFinite(f"The reference pose {pose[:3, 3].tolist()} is not finite.")


def check_joints(joints: np.ndarray, speeds: np.ndarray) -> None:
    """Raise :class:`.NotFinite` unless reference joints [7] and their speeds [7] are finite."""
    if not np.all(np.isfinite([joints, speeds])):
        raise NotFinite(f"The reference {joints.tolist()} or its speed is not finite.")


def rigid(matrix: np.ndarray) -> np.ndarray:
    """The pose [4, 4] with an exact rotation matrix.

    The robot reports rounded numbers, for the Franka Hand's tool frame with four digits, and franky refuses such a
    target.
    """
    result = np.array(matrix)
    result[:3, :3] = Rotation.from_matrix(result[:3, :3]).as_matrix()
    return result
