"""The Gymnasium ids: one for each pair of task and arm, such as ``vjepa_sim/FrankaReach-v0``."""

from __future__ import annotations

from typing import Any

import gymnasium

from vjepa_sim.envs.arms import ARMS, ArmSpec
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.tasks import TASKS, Task

_parts: dict[str, tuple[str, str]] = {}  # task and arm of each id


def env_id(task: str, arm: str = "panda") -> str:
    """The Gymnasium id of a task for an arm, such as ``vjepa_sim/FrankaReach-v0``.

    Raises:
        UserError: there is no such task or arm.
    """
    return _id(TASKS[task], ARMS[arm])


def register(task: type[Task], arm: ArmSpec) -> None:
    """Register an environment with Gymnasium, without a time limit: the environment truncates its own episodes.

    Raises:
        UserError: another task and arm have the same titles, and so the same id.
    """
    name, parts = _id(task, arm), (task.name, arm.name)
    if name not in gymnasium.registry:
        gymnasium.register(
            name,
            entry_point="vjepa_sim.envs.gymnasium_ids:make",
            kwargs={"registered": name},  # and not task and arm, which a caller's arguments would replace unnoticed
            disable_env_checker=True,  # it fails at every step after a first reset() with an error
        )
        _parts[name] = parts
    elif _parts.get(name) != parts:  # each pair is registered with its task and again with its arm
        other_task, other_arm = _parts.get(name, ("?", "?"))
        raise UserError(
            f"Task {task.name!r} with arm {arm.name!r} would have the id {name}, which task {other_task!r} with arm "
            f"{other_arm!r} has already. Give yours another title."
        )


def make(registered: str, task: str | None = None, arm: str | None = None, **settings: Any) -> gymnasium.Env:
    """The environment of an id, for :func:`gymnasium.make`.

    Args:
        registered: id of a task and an arm.
        task: name of the id's task, or None.
        arm: name of the id's arm, or None.
        settings: further arguments of :func:`.backends.make`.

    Raises:
        UserError: task or arm are not those of the id, or a setting is unknown.
    """
    from vjepa_sim.envs.backends import make as make_env

    own_task, own_arm = _parts[registered]
    wanted = (task or own_task, arm or own_arm)
    if wanted != (own_task, own_arm):
        raise UserError(
            f"{registered} is task {own_task!r} with arm {own_arm!r}. For task {wanted[0]!r} with arm {wanted[1]!r}, "
            f"use {env_id(*wanted)}."
        )
    return make_env(own_task, arm=own_arm, **settings)


def register_all() -> None:
    """Register every task with every arm, those that plugins add later too."""
    TASKS.subscribe(lambda task: [register(task, arm) for arm in ARMS.registered()])
    ARMS.subscribe(lambda arm: [register(task, arm) for task in TASKS.registered()])


def _id(task: type[Task], arm: ArmSpec) -> str:
    return f"vjepa_sim/{arm.title}{task.title}-v0"
