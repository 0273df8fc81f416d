"""What to evaluate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vjepa_sim.agents.registry import AGENTS, check_view, checkpoint_of
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf, SeveralOf
from vjepa_sim.envs.scene.variation import ASPECTS, check_aspects
from vjepa_sim.envs.seeds import evaluation_seed
from vjepa_sim.envs.tasks import PROTOCOLS, TASKS

REFERENCES = ("expert", "random", "still")  # the upper bound and the two lower ones


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What to evaluate: one condition for each task and object.

    Attributes:
        agent: the agent that is evaluated.
        baselines: agents beside it on the same seeds; none is enough where another run in compare has them.
        checkpoint: what the agent acts with: a bundled name, a folder, or a released .pt file; for octo and cosmos
            their own. The agent's bundled one if not given.
        planner: how an agent plans that does; docs/planning.md explains each.
        tasks: tasks.
        objects: objects.
        episodes: episodes per task and object.
        seed: random seed of the first episode; the others follow. Below 2³¹, where no training data come from.
        goals: paper (one goal image; three for pick and place) or dense (more sub-goal images).
        randomize: strength of domain randomisation, 0 to 1. The starts and goals of a seed stay the same.
        vary: what is randomised.
        size: height and width of the camera's images in pixels.
        arm: the arm.
        gripper: the gripper on it.
        videos: videos per task and object, at most, failures first.
        device: where a checkpoint of this project's making computes: auto, cpu, cuda or cuda:NUMBER.
        azimuth: degrees of the camera about the table, 0 in front of the arm, 90 at its left; 54.6 if not given.
        view: for mpc: what calibrate-view found out about the camera; a folder or its view.json.
    """

    agent: Annotated[str, OneOf(AGENTS)] = "mpc"
    baselines: Annotated[tuple[str, ...], SeveralOf(REFERENCES)] = REFERENCES
    checkpoint: str | None = None
    planner: Annotated[str, OneOf("vjepa_sim.agents.planning.presets:PLANNERS")] = "default"
    tasks: Annotated[tuple[str, ...], SeveralOf(TASKS), tyro.conf.arg(name="task")] = field(
        default_factory=lambda: tuple(TASKS)
    )
    objects: Annotated[tuple[str, ...], SeveralOf(OBJECTS), tyro.conf.arg(name="object")] = field(
        default_factory=lambda: tuple(OBJECTS)
    )
    episodes: int = 20
    seed: int = 0
    goals: Annotated[str, OneOf(PROTOCOLS)] = "paper"
    randomize: float = 0.0
    vary: Annotated[tuple[str, ...], SeveralOf(ASPECTS)] = tuple(ASPECTS)
    size: int = 256
    arm: Annotated[str, OneOf(ARMS)] = "panda"
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"
    videos: int = 4
    device: str = "auto"
    azimuth: float | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        spec = AGENTS[self.agent]
        TASKS.check(*self.tasks)
        OBJECTS.check(*self.objects)
        for name in self.baselines:
            if name not in REFERENCES:
                raise unknown_name("baseline", name, REFERENCES)
        for name in self.agents:
            for task in self.tasks:
                AGENTS[name].check_task(task)
        ARMS.check(self.arm)
        GRIPPERS.check(self.gripper)
        for names, what in ((self.tasks, "task"), (self.objects, "object")):
            if not names:
                raise UserError(f"No {what} is named: give at least one.")
        for task in self.tasks:
            if TASKS[task].grasps:
                for name in self.objects:
                    OBJECTS[name].held(task)
        self._check_planner(spec.planning)
        check_aspects(self.vary)
        object.__setattr__(
            self, "vary", tuple(name for name in ASPECTS if name in self.vary)
        )  # in whatever order given
        object.__setattr__(self, "checkpoint", checkpoint_of(self.agent, self.checkpoint))
        check_view(self.agent, self.view)
        if set(self.vary) != set(ASPECTS) and self.randomize == 0:
            raise UserError(
                f"--vary {','.join(self.vary)}: nothing varies with --randomize 0. Give a strength, such as 1."
            )
        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        if self.videos < 0:
            raise UserError(f"--videos {self.videos}: give 0 or more.")
        evaluation_seed(self.seed, self.episodes)

    def _check_planner(self, planning: bool) -> None:
        if not planning and self.planner != EvaluationConfig.planner:
            raise UserError(f"--planner: no effect with --agent {self.agent}, which plans nothing. Leave it out.")
        if planning:
            from vjepa_sim.agents.planning.presets import check_planner

            check_planner(self.agent, self.planner)

    @property
    def agents(self) -> list[str]:
        """Everyone who is evaluated, in the table's order."""
        return list(dict.fromkeys((self.agent, *self.baselines)))
