"""The real Franka arm."""

from __future__ import annotations

import re
from typing import Any

from vjepa_sim.envs.cameras import open_camera
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.franka.arm import FrankaArm, check_period
from vjepa_sim.envs.franka.driver import DRIVERS, Driver, DriverSpec
from vjepa_sim.envs.franka.franka_rs_driver import FrankaRsDriver
from vjepa_sim.envs.franka.franky_driver import FrankyDriver
from vjepa_sim.envs.grippers import GRIPPERS, open_gripper
from vjepa_sim.envs.safety import SafetyLimits

for _spec in (DriverSpec("franky", FrankyDriver), DriverSpec("franka-rs", FrankaRsDriver)):
    DRIVERS.register(_spec)


def open_driver(kind: str, host: str) -> Driver:
    """Connect to a robot without moving it.

    Args:
        kind: name of one of :data:`.DRIVERS`: ``franky``, ``franka-rs``, or one of a plugin.
        host: address of the robot's control box.

    Raises:
        UserError: there is no such driver, it is not installed, or it does not speak this robot's protocol version.
        ArmFault: the robot does not answer.
    """
    _check_host(host)
    return DRIVERS[kind].connect(host)


def _check_host(host: str) -> None:
    """Refuse ports, URLs and IPv6: the robot's ports are fixed, and its libraries use IPv4."""
    if not re.fullmatch(r"[\w.-]+", host):
        raise UserError(
            f"host={host!r}: expected the name or the IPv4 address of the robot's control box, such as 172.16.0.2, "
            "without a port; the robot's ports are fixed, and its libraries don't support IPv6."
        )


def open_arm(
    host: str,
    camera: str,
    *,
    gripper: str = "robotiq",
    gripper_address: str | None = None,
    period: float = 1.0,
    driver: str = "franky",
    max_force: float = SafetyLimits.max_force,
    max_camera_age: float = SafetyLimits.max_camera_age,
) -> FrankaArm:
    """Connect to a robot, its gripper and a camera without moving anything.

    Args:
        host: address of the robot's control box.
        camera: camera to open, see :func:`.open_camera`.
        gripper: ``robotiq`` or ``panda_hand``.
        gripper_address: serial device of a Robotiq; None for the Franka Hand, which is reached at ``host``.
        period: control period, seconds.
        driver: ``franky``, or ``franka-rs``, which also supports the Panda.
        max_force: newtons at which the robot's own loop stops it; see :class:`.SafetyLimits`.
        max_camera_age: largest age of an image, seconds; see :class:`.SafetyLimits`.

    Raises:
        UserError: a name is unknown, or a driver is not installed.
        ArmFault: a part does not answer.
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
    except BaseException:  # parts that are open are closed again if the next one fails
        for part in reversed(parts):
            part.close()
        raise


__all__ = ["DRIVERS", "DriverSpec", "FrankaArm", "FrankaRsDriver", "FrankyDriver", "open_arm", "open_driver"]
