"""What simulated episodes are about, for configurations of verbs that run many of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf, SeveralOf
from vjepa_sim.envs.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class EpisodeConfig:
    """Tasks, objects, arm and gripper of simulated episodes.

    Attributes:
        tasks: tasks.
        objects: objects.
        arm: arm.
        gripper: gripper on the arm.
    """

    tasks: Annotated[tuple[str, ...], SeveralOf(TASKS), tyro.conf.arg(name="task")] = field(
        default_factory=lambda: tuple(TASKS)
    )
    objects: Annotated[tuple[str, ...], SeveralOf(OBJECTS), tyro.conf.arg(name="object")] = field(
        default_factory=lambda: tuple(OBJECTS)
    )
    arm: Annotated[str, OneOf(ARMS)] = "panda"
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"

    def __post_init__(self) -> None:
        TASKS.check(*self.tasks)
        OBJECTS.check(*self.objects)
        ARMS.check(self.arm)
        GRIPPERS.check(self.gripper)
        for names, what in ((self.tasks, "task"), (self.objects, "object")):
            if not names:
                raise UserError(f"No {what} is named: give at least one.")
        for task in self.tasks:
            for name in self.objects:
                TASKS[task].check_object(OBJECTS[name])
