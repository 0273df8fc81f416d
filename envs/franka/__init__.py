"""The real arm."""

from __future__ import annotations

from typing import Any

from vjepa_sim.envs.cameras import open_camera
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.franka.arm import FrankaArm, check_period
from vjepa_sim.envs.franka.driver import Driver
from vjepa_sim.envs.franka.franka_rs_driver import FrankaRsDriver
from vjepa_sim.envs.franka.franky_driver import FrankyDriver
from vjepa_sim.envs.grippers import GRIPPERS, open_gripper
from vjepa_sim.envs.safety import SafetyLimits

DRIVERS = {"franky": FrankyDriver, "franka-rs": FrankaRsDriver}


def open_driver(kind: str, host: str) -> Driver:
    """Connect to a robot; it stays where it is.

    Args:
        kind: ``franky`` or ``franka-rs``.
        host: address of the robot's control box.

    Raises:
        UserError: there is no such driver, it is not installed, or it can't speak with this robot.
        ArmFault: the robot doesn't answer.
    """
    if kind not in DRIVERS:
        raise unknown_name("driver", kind, DRIVERS)
    return DRIVERS[kind](host)


def open_arm(
    host: str,
    camera: str,
    gripper: str = "robotiq",
    gripper_address: str | None = None,
    period: float = 1.0,
    driver: str = "franky",
    max_force: float = SafetyLimits.max_force,
    max_camera_age: float = SafetyLimits.max_camera_age,
) -> FrankaArm:
    """Connect to a robot, its gripper and a camera; nothing moves.

    Args:
        host: address of the robot's control box.
        camera: see :func:`.open_camera`.
        gripper: ``robotiq`` or ``panda_hand``.
        gripper_address: serial device of a Robotiq; the Franka Hand answers at ``host``.
        period: seconds of a step.
        driver: ``franky``, or ``franka-rs``, which also speaks with a Panda.
        max_force: newtons at which the robot's own loop stops it; the envelope's, see :mod:`vjepa_sim.envs.safety`.
        max_camera_age: seconds that a picture may be old; the envelope's.

    Raises:
        UserError: a part is not named rightly, or its driver is not installed.
        ArmFault: a part doesn't answer.
    """
    if GRIPPERS[gripper].serial and gripper_address is None:
        raise UserError(f"Gripper {gripper!r} needs its serial device: gripper_address='/dev/ttyUSB0'.")
    check_period(period)
    parts: list[Any] = []
    try:
        parts.append(open_driver(driver, host))
        parts.append(open_gripper(gripper, gripper_address or host))
        parts.append(open_camera(camera, max_camera_age))
        return FrankaArm(*parts, gripper_kind=gripper, period=period, max_force=max_force)
    except BaseException:  # what is open is closed again if the next part isn't there
        for part in reversed(parts):
            part.close()
        raise


__all__ = ["DRIVERS", "FrankaArm", "FrankaRsDriver", "FrankyDriver", "open_arm", "open_driver"]
