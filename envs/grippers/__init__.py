"""Grippers: specifications by name, drivers with blocking calls, and one class with non-blocking calls.

Importing this package loads neither MuJoCo nor a driver's library.
"""

from __future__ import annotations

from vjepa_sim.envs.grippers.gripper import Gripper, GripperDriver
from vjepa_sim.envs.grippers.gripper_spec import GRIPPERS, GripperSpec
from vjepa_sim.envs.grippers.panda_hand import PANDA_HAND
from vjepa_sim.envs.grippers.robotiq import ROBOTIQ

for _spec in (ROBOTIQ, PANDA_HAND):
    GRIPPERS.register(_spec)


def open_gripper(kind: str, address: str) -> Gripper:
    """Connect to a real gripper without moving its fingers, see :meth:`.Gripper.activate`.

    Args:
        kind: name of the gripper.
        address: serial device, or host of the robot that carries it, see :attr:`.GripperSpec.serial`.

    Raises:
        UserError: there is no such gripper, or its driver is not installed.
        GripperFault: no gripper answers at the address within 10 s, or it reports a fault.
    """
    return Gripper(GRIPPERS[kind].open_driver(address))


__all__ = ["GRIPPERS", "PANDA_HAND", "ROBOTIQ", "Gripper", "GripperDriver", "GripperSpec", "open_gripper"]
