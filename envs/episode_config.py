"""What simulated episodes are about, for configurations of verbs that run many of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
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

    All tasks or all objects, the defaults, include only the pairs of a task and an object that can be done.

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
        self._check_named()

    def _check_named(self) -> None:
        """Refuse tasks and objects that are named and can't be done; of all tasks or all objects, they are left out."""
        possible, named = self.pairs, (self.tasks != tuple(TASKS), self.objects != tuple(OBJECTS))

        def refused(pair: tuple[str, str]) -> bool:
            alone = any(named[side] and all(each[side] != pair[side] for each in possible) for side in (0, 1))
            return all(named) or alone or not possible

        reasons = dict.fromkeys(reason for pair, reason in self.left_out.items() if refused(pair))
        if reasons:
            raise UserError(" ".join(reasons))

    def check_pair(self, task: str, object_name: str) -> None:
        """Raise :class:`.UserError` for a task and an object that can't be done together; the message is the reason."""
        TASKS[task].check_object(OBJECTS[object_name])

    @property
    def left_out(self) -> dict[tuple[str, str], str]:
        """Pairs of a task and an object that can't be done, with the reason."""
        reasons = {}
        for pair in product(self.tasks, self.objects):
            try:
                self.check_pair(*pair)
            except UserError as error:
                reasons[pair] = str(error)
        return reasons

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of a task and an object that can be done, task by task."""
        left_out = self.left_out
        return [pair for pair in product(self.tasks, self.objects) if pair not in left_out]

    @property
    def notes(self) -> list[str]:
        """Sentences on what is left out, one for each reason."""
        pairs: dict[str, list[str]] = {}
        for (task, name), reason in self.left_out.items():
            pairs.setdefault(reason, []).append(f"{task} with {name}")
        return [f"Left out: {', '.join(each)}. {reason}" for reason, each in pairs.items()]
