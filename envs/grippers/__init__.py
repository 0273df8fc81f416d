"""Real grippers: drivers with blocking calls, and one class that nobody has to wait for."""

from __future__ import annotations

from envs.errors import unknown_name
from envs.grippers.franka_hand import FrankaHand
from envs.grippers.gripper import Gripper, GripperDriver
from envs.grippers.robotiq import Robotiq2F85

GRIPPERS = {"robotiq": Robotiq2F85, "panda_hand": FrankaHand}  # the names of envs.scene.names.GRIPPERS


def open_gripper(kind: str, address: str) -> Gripper:
    """Connect to a gripper; its fingers stay as they are, see :meth:`Gripper.activate`.

    Args:
        kind: ``robotiq`` or ``panda_hand``.
        address: serial device of the Robotiq, or host of the robot that carries the Franka Hand.

    Raises:
        UserError: there is no such kind, or its driver is not installed.
        GripperFault: no gripper answers there within some seconds, or it reports a fault.
    """
    if kind not in GRIPPERS:
        raise unknown_name("gripper", kind, GRIPPERS)
    return Gripper(GRIPPERS[kind](address))


__all__ = ["GRIPPERS", "FrankaHand", "Gripper", "GripperDriver", "Robotiq2F85", "open_gripper"]
