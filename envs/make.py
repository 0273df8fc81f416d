"""One argument switches the arm: ``gymnasium.make("vjepa_sim/FrankaReach-v0", backend="sim")``.

The back ends are the rungs of a ladder that ends at the real robot. Agents can't tell them apart.

- ``sim``: the simulator.
- ``noisy-sim``: the simulator with a late and noisy camera and a sluggish arm.
- ``loopback``: a simulated robot behind the real one's network protocol, with the real client.
- ``franka``: the real robot.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium

from envs.errors import UserError, unknown_name
from envs.safety import SafetyLimits, check_limits, default_limits

if TYPE_CHECKING:
    from envs.robot_env import RobotEnv

BACKENDS = {
    "sim": "envs.sim_robot:SimRobot",
    "noisy-sim": "envs.noisy_robot:NoisyRobot",
    "loopback": "envs.loopback.twin:LoopbackArm",
    "franka": "envs.franka:open_arm",
}  # what opens each rung's robot; imported only when it is used
LIMITED = ("max_force", "max_camera_age")  # limits that the robot itself must know
LATE = 3.0  # s


def make(task: str, backend: str = "sim", **settings: Any) -> gymnasium.Env:
    """The environment of a task.

    Args:
        task: its name.
        backend: one of :data:`BACKENDS`.
        settings: for ``sim``, the arguments of :class:`envs.franka_env.FrankaEnv`; else those of :func:`make_robot`.

    Raises:
        UserError: there is no such backend, or it has no such setting.
    """
    if backend == "sim":
        from envs.franka_env import FrankaEnv

        return FrankaEnv(task, **_known(settings, backend, FrankaEnv))
    return make_robot(task, backend, **settings)


def make_robot(task: str, backend: str, **settings: Any) -> RobotEnv:
    """What an agent is deployed in: the same environment around any rung's robot.

    Args:
        task: its name.
        backend: one of :data:`BACKENDS`.
        settings: the arguments of :class:`envs.robot_env.RobotEnv` but the arm, and in its place those of
            :class:`envs.sim_robot.SimRobot`, :class:`envs.noisy_robot.NoisyRobot`,
            :class:`envs.loopback.twin.LoopbackArm` or :func:`envs.franka.open_arm`. These get the limits that they must
            know themselves from ``limits``.

    Raises:
        UserError: there is no such backend, or it has no such setting.
    """
    from envs.robot_env import RobotEnv

    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    module, _, name = BACKENDS[backend].partition(":")
    open_robot = getattr(importlib.import_module(module), name)
    settings = _known(settings, backend, open_robot, RobotEnv)
    about_robot = {name: settings.pop(name) for name in list(settings) if name in _names(open_robot)}
    limits = settings.pop("limits", None)
    if limits is None:
        limits = usual_limits(backend, about_robot.get("gripper", "robotiq"))
    check_limits(limits)
    takes = inspect.signature(open_robot).parameters
    about_robot |= {name: getattr(limits, name) for name in LIMITED if name in takes}
    missing = [
        name for name, each in takes.items() if each.default is inspect.Parameter.empty and name not in about_robot
    ]
    if missing:
        raise UserError(f"Backend {backend!r} needs {' and '.join(f'{name}=…' for name in missing)}.")
    robot = open_robot(**about_robot)
    try:
        return RobotEnv(task, robot, limits, **settings)
    except BaseException:
        robot.close()
        raise


def usual_limits(backend: str, gripper: str) -> SafetyLimits:
    """What holds on a rung, with a gripper, where no limits are given.

    Raises:
        UserError: there is no such gripper.
    """
    limits = default_limits(gripper)
    if backend == "loopback":  # robot, camera and agent share one computer there, so all of them are late now and then
        limits = replace(limits, max_camera_age=LATE, max_clock_age=LATE)
    return limits


def _names(made: Callable) -> list[str]:
    return [name for name in inspect.signature(made).parameters if name not in ("task", "arm", *LIMITED)]


def _known(settings: dict[str, Any], backend: str, *made: Callable) -> dict[str, Any]:
    """The settings, if all of them are someone's."""
    valid = [name for each in made for name in _names(each)]
    for name in settings:
        if name not in valid:
            raise unknown_name(f"setting of backend {backend!r}", name, valid)
    return settings
