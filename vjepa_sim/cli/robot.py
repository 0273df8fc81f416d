"""What verbs that open a robot have in common."""

from __future__ import annotations

from dataclasses import asdict, fields, make_dataclass, replace
from typing import Any, get_type_hints

from envs.errors import UserError
from envs.make import usual_limits
from envs.safety import SafetyLimits
from vjepa_sim.cli.options import refuse_unused

# The same names as the envelope's own, but None where the gripper's usual limit holds.
LimitOptions = make_dataclass(
    "LimitOptions",
    [(each.name, get_type_hints(SafetyLimits)[each.name] | None, None) for each in fields(SafetyLimits)],
    frozen=True,
)
LimitOptions.__doc__ = SafetyLimits.__doc__


def chosen_limits(options: LimitOptions, backend: str, gripper: str) -> SafetyLimits:
    """What was given, and else what is usual for a back end and a gripper.

    Raises:
        UserError: there is no such gripper, or a limit makes no sense.
    """
    given = {name: value for name, value in asdict(options).items() if value is not None}
    return replace(usual_limits(backend, gripper), **given)


def robot_settings(verb: Any) -> dict[str, Any]:
    """The settings of :func:`envs.make.make_robot` that say where a robot is; simulated ones need none.

    Args:
        verb: with the options ``backend``, ``host``, ``camera``, ``gripper_address`` and ``driver``.

    Raises:
        UserError: a real robot has no address or camera, or another one is given what only a real one has.
    """
    if verb.backend == "franka":
        if verb.host is None or verb.camera is None:
            raise UserError("A real robot needs --host ADDRESS and --camera DEVICE.")
        names = ("host", "camera", "gripper_address", "driver")
        return {name: getattr(verb, name) for name in names}
    refuse_unused(verb, ("camera", "gripper_address"), f"with --backend {verb.backend}, which has its own")
    if verb.backend == "loopback":
        return {"driver": verb.driver, **({} if verb.host is None else {"host": verb.host})}
    refuse_unused(verb, ("host", "driver"), f"with --backend {verb.backend}, which is on no network")
    return {}
