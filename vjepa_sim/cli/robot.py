"""What verbs that open a robot have in common."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass, fields, make_dataclass, replace
from typing import Annotated, Any, get_type_hints

from vjepa_sim.cli.options import refuse_unused
from vjepa_sim.envs.backends import BACKENDS, usual_limits
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.options import OneOf
from vjepa_sim.envs.safety import SafetyLimits

# The same names as the envelope's own, but None where the gripper's usual limit holds.
LimitOptions = make_dataclass(
    "LimitOptions",
    [(each.name, get_type_hints(SafetyLimits)[each.name] | None, None) for each in fields(SafetyLimits)],
    frozen=True,
)
LimitOptions.__doc__ = SafetyLimits.__doc__


def chosen_limits(options: Any, backend: str, gripper: str) -> SafetyLimits:
    """What was given, and else what is usual for a back end and a gripper.

    Raises:
        UserError: there is no such gripper, or a limit makes no sense.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    return replace(usual_limits(backend, gripper), **given)


@dataclass(frozen=True, kw_only=True)
class RobotOptions:
    """Where a robot is.

    Attributes:
        host: address of the robot; for loopback, one of this machine's own.
        camera: of a real robot: index, device, URL, realsense or zed.
        gripper_address: serial device of a gripper that has one.
        driver: library that talks to the robot.
        period: seconds of a step; the model's own if not given.
    """

    host: str | None = None
    camera: str | None = None
    gripper_address: str | None = None
    driver: Annotated[str, OneOf("vjepa_sim.envs.franka:DRIVERS")] = "franky"
    period: float | None = None

    def robot_settings(self) -> dict[str, Any]:
        """The settings of :func:`.make_robot` that say where the robot of ``backend`` is; simulated ones need none.

        Raises:
            UserError: the back end lacks an option that it needs, or is given one that it doesn't take.
        """
        backend: str = self.backend  # type: ignore[attr-defined]  # of the verb
        takes = BACKENDS[backend].takes()
        names = ("host", "camera", "gripper_address", "driver")
        needed = [name for name in names if name in takes and takes[name].default is inspect.Parameter.empty]
        if any(getattr(self, name) is None for name in needed):
            raise UserError(f"Backend {backend!r} needs {' and '.join(f'--{name} {name.upper()}' for name in needed)}.")
        refuse_unused(self, tuple(name for name in names if name not in takes), f"with --backend {backend}")
        return {name: getattr(self, name) for name in names if name in takes and getattr(self, name) is not None}
