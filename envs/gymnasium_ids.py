"""The Gymnasium ids: one for each pair of task and arm, such as ``vjepa_sim/FrankaReach-v0``."""

from __future__ import annotations

import gymnasium

from vjepa_sim.envs.arms import ARMS, ArmSpec
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.tasks import TASKS, Task


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
    parts = {"task": task.name, "arm": arm.name}
    if _id(task, arm) not in gymnasium.registry:
        gymnasium.register(_id(task, arm), entry_point="vjepa_sim.envs.backends:make", kwargs=parts)
        return
    present = gymnasium.registry[_id(task, arm)].kwargs
    if present != parts:  # each pair is registered with its task and again with its arm
        raise UserError(
            f"Task {task.name!r} with arm {arm.name!r} would have the id {_id(task, arm)}, which task "
            f"{present['task']!r} with arm {present['arm']!r} has already. Give yours another title."
        )


def register_all() -> None:
    """Register every task with every arm, those that plugins add later too."""
    TASKS.subscribe(lambda task: [register(task, arm) for arm in ARMS.registered()])
    ARMS.subscribe(lambda arm: [register(task, arm) for task in TASKS.registered()])


def _id(task: type[Task], arm: ArmSpec) -> str:
    return f"vjepa_sim/{arm.title}{task.title}-v0"
