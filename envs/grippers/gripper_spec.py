"""What must be known of a gripper, in the simulator and on a real arm, and the grippers that there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry

if TYPE_CHECKING:
    import mujoco

    from vjepa_sim.envs.grippers.gripper import GripperDriver
    from vjepa_sim.envs.loopback.robotiq import LoopbackRobotiq

PREFIX = "gripper0_right_"  # of all names that robosuite gives to a gripper's parts


def side_of_finger(body: str) -> str | None:
    """``left`` or ``right`` for a body of robosuite's two-finger grippers that touches objects, else None.

    Args:
        body: its name without :data:`PREFIX`.
    """
    if "finger" not in body:
        return None
    return "left" if "left" in body or "joint1" in body else "right"


@dataclass(frozen=True, eq=False)
class GripperSpec:
    """A gripper with two parallel fingers, one number of freedom: closedness, 0 open to 1 closed.

    Attributes:
        name: as on the command line.
        robosuite: name of robosuite's gripper model, such as ``Robotiq85Gripper``.
        couple: called with the scene's specification; leaves one actuator ``gripper`` whose control is closedness, and
            fingers that move together (see :mod:`vjepa_sim.envs.grippers.coupling`).
        fingers: joints by name (without :data:`PREFIX`), each with its position at closedness 0 and 1, radians or
            metres; the driven joint first.
        flange_to_pad: metres from the flange down to the middle of the finger pads when they hold something.
        lowest_flange: metres above the table at which the flange carries fingers whose tips reach it.
        mount_yaw: radians by which the gripper is mounted turned about the flange's axis.
        mount_quaternion: the same turn as a quaternion [4] (w, x, y, z).
        finger_side: which finger a body belongs to, see :func:`side_of_finger`.
        driver: ``module:class`` of the real gripper's :class:`.GripperDriver`; "" if there is none.
        serial: whether the real one is connected by a serial device; else it answers at the robot's host.
        loopback: makes the simulated device that the driver talks to on the loopback robot, at a path; None if the
            loopback robot itself is the device.
    """

    name: str
    robosuite: str
    couple: Callable[[mujoco.MjSpec], None]
    fingers: dict[str, tuple[float, float]]
    flange_to_pad: float
    lowest_flange: float
    mount_yaw: float = 0.0
    mount_quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    finger_side: Callable[[str], str | None] = side_of_finger
    driver: str = ""
    serial: bool = False
    loopback: Callable[[Path], LoopbackRobotiq] | None = None

    def open_driver(self, address: str) -> GripperDriver:
        """Connect to the real gripper; its fingers stay as they are.

        Args:
            address: its serial device, or the host of the robot that carries it.

        Raises:
            UserError: there is no driver for it, or the driver's library is not installed.
            GripperFault: no gripper answers there.
        """
        if not self.driver:
            raise UserError(f"Gripper {self.name!r} has no driver: it exists in the simulator only.")
        module, _, name = self.driver.partition(":")
        return getattr(importlib.import_module(module), name)(address)


GRIPPERS: Registry[GripperSpec] = Registry("gripper")
