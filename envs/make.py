"""One argument switches the arm: ``gymnasium.make("vjepa_sim/FrankaReach-v0", backend="sim")``.

``sim`` is the simulator; ``loopback`` a simulated robot behind the real one's network protocol, with the real client; and
``franka`` the real robot. Agents can't tell them apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium

from envs.errors import unknown_name
from envs.safety import default_limits

BACKENDS = ("sim", "loopback", "franka")
LATE = 3.0  # s


def make(task: str, backend: str = "sim", **settings: Any) -> gymnasium.Env:
    """The environment of a task.

    Args:
        task: its name.
        backend: one of :data:`BACKENDS`.
        settings: for ``sim``, the arguments of :class:`envs.franka_env.FrankaEnv`; else those of
            :class:`envs.robot_env.RobotEnv` but the arm, and in its place those of
            :class:`envs.loopback.twin.LoopbackArm` or :func:`envs.franka.open_arm`.

    Raises:
        UserError: there is no such backend, or it has no such setting.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if backend == "sim":
        from envs.franka_env import FrankaEnv

        return FrankaEnv(task, **_known(settings, backend, FrankaEnv))
    from envs.robot_env import RobotEnv

    if backend == "loopback":
        from envs.loopback.twin import LoopbackArm as open_arm
    else:
        from envs.franka import open_arm
    settings = _known(settings, backend, open_arm, RobotEnv)
    about_arm = {name: settings.pop(name) for name in list(settings) if name in _names(open_arm)}
    if backend == "loopback" and "limits" not in settings:
        # Robot, camera and agent share one computer there, so all of them are late now and then.
        usual = default_limits(settings.get("gripper", "robotiq"))
        settings["limits"] = replace(usual, max_camera_age=LATE, max_clock_age=LATE)
    arm = open_arm(**about_arm)
    try:
        return RobotEnv(task, arm, **settings)
    except BaseException:
        arm.close()
        raise


def _names(made: Callable) -> list[str]:
    return [name for name in inspect.signature(made).parameters if name not in ("task", "arm")]


def _known(settings: dict[str, Any], backend: str, *made: Callable) -> dict[str, Any]:
    """The settings, if all of them are someone's."""
    valid = [name for each in made for name in _names(each)]
    for name in settings:
        if name not in valid:
            raise unknown_name(f"setting of backend {backend!r}", name, valid)
    return settings
