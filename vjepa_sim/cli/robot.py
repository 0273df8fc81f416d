"""Options of verbs that open a robot."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass, fields, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from vjepa_sim.cli.options import refuse_unused
from vjepa_sim.envs.backends import BACKENDS, usual_limits
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.options import OneOf
from vjepa_sim.envs.safety import SafetyLimits

if TYPE_CHECKING:
    LimitOptions = SafetyLimits
else:  # the same fields, but None for the default of arm and gripper
    LimitOptions = make_dataclass(
        "LimitOptions",
        [(each.name, get_type_hints(SafetyLimits)[each.name] | None, None) for each in fields(SafetyLimits)],
        frozen=True,
    )
    LimitOptions.__doc__ = SafetyLimits.__doc__


def chosen_limits(options: LimitOptions, backend: str, arm: str, gripper: str) -> SafetyLimits:
    """Safety limits from options, with the defaults of a backend, an arm and a gripper.

    Args:
        options: limits that were given; None in the others.
        backend: name of the backend.
        arm: name of the arm.
        gripper: name of the gripper.

    Raises:
        UserError: there is no such arm or gripper, or a limit is out of range.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    return replace(usual_limits(backend, arm, gripper), **given)


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """Addresses and drivers of a robot.

    Attributes:
        host: address of the robot; for loopback, a local address.
        camera: camera of a real robot: index, device, URL, realsense or zed.
        gripper_address: serial device of a gripper that has one.
        driver: client library of the robot.
    """

    host: str | None = None
    camera: str | None = None
    gripper_address: str | None = None
    driver: Annotated[str, OneOf("vjepa_sim.envs.franka:DRIVERS")] = "franky"

    def robot_settings(self, backend: str) -> dict[str, Any]:
        """Arguments of :func:`.make_robot` for the addresses and drivers of a backend.

        Args:
            backend: name of the backend.

        Raises:
            UserError: an option is missing, or the backend does not take one that is given.
        """
        takes = BACKENDS[backend].takes()
        names = ("host", "camera", "gripper_address", "driver")
        needed = [name for name in names if name in takes and takes[name].default is inspect.Parameter.empty]
        if any(getattr(self, name) is None for name in needed):
            raise UserError(f"Backend {backend!r} needs {' and '.join(f'--{name} {name.upper()}' for name in needed)}.")
        refuse_unused(self, tuple(name for name in names if name not in takes), f"with --backend {backend}")
        return {name: getattr(self, name) for name in names if name in takes and getattr(self, name) is not None}


@dataclass(frozen=True, kw_only=True)
class RobotOptions(ConnectionOptions):
    """Addresses and drivers of a robot, and its control period.

    Attributes:
        period: control period in seconds; the model's if not given.
    """

    period: float | None = None
