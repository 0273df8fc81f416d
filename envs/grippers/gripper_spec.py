"""Specification of a gripper, in the simulator and on a real arm, and the registry of grippers."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.part_checks import A_ROTATION, are_numbers, check_fields, is_number, is_rotation, is_text
from vjepa_sim.envs.registry import Registry

if TYPE_CHECKING:
    import mujoco

    from vjepa_sim.envs.grippers.gripper import GripperDriver

DRIVER = re.compile(r"[\w.]+:\w+")
PREFIX = "gripper0_right_"  # of the names of all parts of robosuite's grippers


def side_of_finger(body: str) -> str | None:
    """The finger (``left`` or ``right``) of a body whose name has ``finger`` and its side in it, None for others.

    Args:
        body: name of the body without :data:`PREFIX`.
    """
    if "finger" not in body:
        return None
    return next((side for side in ("left", "right") if side in body), None)


class LoopbackGripper(Protocol):
    """A simulated gripper on a serial device of its own, for the real driver."""

    def block(self, closedness: float | None) -> None:
        """Stop closing fingers at a closedness, where an object is between them; None for no object."""
        ...

    def close(self) -> None:
        """Remove the serial device."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class GripperSpec:
    """A gripper with two parallel fingers and one degree of freedom: closedness, 0 open to 1 closed.

    Attributes:
        name: name on the command line.
        robosuite: name of robosuite's gripper model, such as ``Robotiq85Gripper``.
        couple: function that changes the scene's specification: it adds one actuator ``gripper`` whose control is
            closedness, and makes the fingers move together (see :mod:`vjepa_sim.envs.grippers.coupling`).
        fingers: joint positions at closedness 0 and 1 by joint name (without :data:`PREFIX`), radians or metres; the
            driven joint first.
        flange_to_pad: distance from the flange down to the middle of the closed finger pads, metres.
        lowest_flange: height of the flange above the table at which the fingertips reach the table, metres.
        mount_yaw: rotation of the mounted gripper about the flange's axis, radians.
        mount_quaternion: the same rotation as a quaternion [4] (w, x, y, z).
        finger_side: maps a body to its finger, see :func:`side_of_finger`.
        driver: ``module:class`` of the real gripper's :class:`.GripperDriver`; "" if there is none.
        serial: whether the real gripper is a serial device; else it is reached at the robot's host.
        loopback: creates, at a path, the serial device of a simulated gripper, for the driver on the loopback backend;
            None if the loopback robot has the gripper itself.
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
    loopback: Callable[[Path], LoopbackGripper] | None = None

    def open_driver(self, address: str) -> GripperDriver:
        """Connect to the real gripper without moving its fingers.

        Args:
            address: serial device of the gripper, or host of the robot that carries it.

        Raises:
            UserError: there is no driver for it, or the driver's library is not installed.
            GripperFault: no gripper answers at the address.
        """
        if not self.driver:
            raise UserError(f"Gripper {self.name!r} has no driver: it exists in the simulator only.")
        module, _, name = self.driver.partition(":")
        return getattr(importlib.import_module(module), name)(address)


def _check_gripper(gripper: GripperSpec) -> None:
    fingers = gripper.fingers
    check_fields(
        "gripper",
        gripper,
        (
            ("robosuite", is_text(gripper.robosuite), "the name of a gripper of robosuite"),
            ("couple", callable(gripper.couple), "a function that changes the scene's specification"),
            (
                "fingers",
                isinstance(fingers, dict)
                and len(fingers) > 0
                and all(
                    is_text(name) and are_numbers(ends, 2) and ends[0] != ends[1] for name, ends in fingers.items()
                ),
                "for each joint two different numbers, its positions when open and when closed",
            ),
            ("flange_to_pad", is_number(gripper.flange_to_pad, low=0), "metres, at least 0"),
            ("lowest_flange", is_number(gripper.lowest_flange, low=0), "metres, at least 0"),
            ("mount_yaw", is_number(gripper.mount_yaw), "radians"),
            ("mount_quaternion", is_rotation(gripper.mount_quaternion), A_ROTATION),
            ("finger_side", callable(gripper.finger_side), "a function from the name of a body to its side"),
            ("driver", gripper.driver == "" or is_text(gripper.driver, DRIVER), '"module:class", or ""'),
        ),
    )


GRIPPERS: Registry[GripperSpec] = Registry("gripper", GripperSpec, _check_gripper)
