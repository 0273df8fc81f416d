"""One argument switches the arm: ``gymnasium.make("vjepa_sim/FrankaReach-v0", backend="sim")``.

The back ends are the rungs of a ladder that ends at the real robot. Agents can't tell them apart.

- ``sim``: the simulator.
- ``noisy-sim``: the simulator with a late and noisy camera and a sluggish arm.
- ``loopback``: a simulated robot behind the real one's network protocol, with the real client.
- ``franka``: the real robot.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium

from envs.errors import unknown_name
from envs.safety import default_limits

if TYPE_CHECKING:
    from envs.robot_env import RobotEnv

BACKENDS = ("sim", "noisy-sim", "loopback", "franka")
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
            :class:`envs.loopback.twin.LoopbackArm` or :func:`envs.franka.open_arm`.

    Raises:
        UserError: there is no such backend, or it has no such setting.
    """
    from envs.robot_env import RobotEnv

    open_robot = _opener(backend)
    settings = _known(settings, backend, open_robot, RobotEnv)
    about_robot = {name: settings.pop(name) for name in list(settings) if name in _names(open_robot)}
    if backend == "loopback" and "limits" not in settings:
        # Robot, camera and agent share one computer there, so all of them are late now and then.
        usual = default_limits(about_robot.get("gripper", "robotiq"))
        settings["limits"] = replace(usual, max_camera_age=LATE, max_clock_age=LATE)
    robot = open_robot(**about_robot)
    try:
        return RobotEnv(task, robot, **settings)
    except BaseException:
        robot.close()
        raise


def _opener(backend: str) -> Callable:
    if backend == "sim":
        from envs.sim_robot import SimRobot

        return SimRobot
    if backend == "noisy-sim":
        from envs.noisy_robot import NoisyRobot

        return NoisyRobot
    if backend == "loopback":
        from envs.loopback.twin import LoopbackArm

        return LoopbackArm
    if backend == "franka":
        from envs.franka import open_arm

        return open_arm
    raise unknown_name("backend", backend, BACKENDS)


def _names(made: Callable) -> list[str]:
    return [name for name in inspect.signature(made).parameters if name not in ("task", "arm")]


def _known(settings: dict[str, Any], backend: str, *made: Callable) -> dict[str, Any]:
    """The settings, if all of them are someone's."""
    valid = [name for each in made for name in _names(each)]
    for name in settings:
        if name not in valid:
            raise unknown_name(f"setting of backend {backend!r}", name, valid)
    return settings
