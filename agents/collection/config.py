"""What to collect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf, SeveralOf, Shares
from vjepa_sim.envs.scene.cameras import CAMERAS, LEFT
from vjepa_sim.envs.seeds import training_seed
from vjepa_sim.envs.tasks import TASKS

DEFAULT_MIX = {"expert": 0.15, "noisy-expert": 0.40, "explore": 0.35, "random": 0.10}


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """What to collect. Two runs with equal values give equal episodes, however many processes run.

    Attributes:
        episodes: number of episodes in all; a larger number continues a smaller one.
        seed: 0 to 2146; equal seeds give equal episodes, never those of eval.
        tasks: tasks whose start states are used, in turn.
        objects: objects, in turn.
        size: image height and width in pixels.
        steps: control steps (0.25 s) per episode, at most; an expert's ends soon after it has succeeded.
        randomize: largest strength of domain randomisation, 0 to 1; half of the episodes keep the nominal look, the
            strength of the others is uniform up to this.
        arm: the arm.
        gripper: the gripper on it.
        mix: share of each behavior, such as expert=0.5,random=0.5.
        cameras: recorded cameras.
        checkpoint: what the agent acts with where the mix says planner; the expert corrects what it leaves, and what it
            would have done is recorded all along.
        agent: agent that acts there.
        planner: how mpc plans there; policy is quickest.
    """

    episodes: int
    seed: int = 0
    tasks: Annotated[tuple[str, ...], SeveralOf(TASKS), tyro.conf.arg(name="task")] = field(
        default_factory=lambda: tuple(TASKS)
    )
    objects: Annotated[tuple[str, ...], SeveralOf(OBJECTS), tyro.conf.arg(name="object")] = field(
        default_factory=lambda: tuple(OBJECTS)
    )
    size: int = 128
    steps: int = 24
    randomize: float = 0.3
    arm: Annotated[str, OneOf(ARMS)] = "panda"
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"
    mix: Annotated[dict[str, float], Shares("vjepa_sim.agents.collection.behaviors:BEHAVIORS")] = field(
        default_factory=lambda: dict(DEFAULT_MIX)
    )
    cameras: Annotated[tuple[str, ...], SeveralOf(CAMERAS)] = (LEFT.name,)
    checkpoint: str | None = None
    agent: Annotated[str, OneOf(AGENTS)] = "mpc"
    planner: Annotated[str, OneOf("vjepa_sim.agents.planning.presets:PLANNERS")] = "policy"

    def __post_init__(self) -> None:
        from vjepa_sim.agents.collection.behaviors import BEHAVIORS

        TASKS.check(*self.tasks)
        OBJECTS.check(*self.objects)
        CAMERAS.check(*self.cameras)
        ARMS.check(self.arm)
        GRIPPERS.check(self.gripper)
        for names, what in ((self.tasks, "task"), (self.objects, "object")):
            if not names:
                raise UserError(f"No {what} is named: give at least one.")
        for task in self.tasks:
            if TASKS[task].grasps:
                for name in self.objects:
                    OBJECTS[name].held(task)
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise UserError(f"cameras={self.cameras}: give at least one, and each once.")
        for name, share in self.mix.items():
            BEHAVIORS.check(name)
            if not 0 <= share < float("inf"):
                raise UserError(f"The share of behavior {name!r} is {share}; it must be a number and not negative.")
        if not sum(self.mix.values()) > 0:
            raise UserError(
                f"The behavior mix {self.mix} adds up to nothing; give at least one behavior a positive share."
            )
        acting = [name for name, share in self.mix.items() if share > 0 and BEHAVIORS[name].needs_agent]
        if bool(acting) != (self.checkpoint is not None):
            raise UserError(
                f"mix={self.mix} and checkpoint={self.checkpoint}: the behavior 'planner' needs a checkpoint, and no "
                "other does."
            )
        spec = AGENTS[self.agent]
        if not spec.ours or spec.privileged:
            able = ", ".join(name for name, each in AGENTS.items() if each.ours and not each.privileged)
            raise UserError(
                f"Agent {self.agent!r} can't act in a collection: expected one with a checkpoint of this project's "
                f"making that isn't privileged: {able}."
            )
        if self.planner != CollectConfig.planner:
            if not spec.planning:
                raise UserError(f"--planner {self.planner}: no effect with --agent {self.agent}, which plans nothing.")
            from vjepa_sim.agents.planning.presets import PLANNERS  # loads PyTorch, which most collections do without

            PLANNERS.check(self.planner)
        if self.episodes < 1 or self.steps < 1:
            raise UserError(f"episodes={self.episodes} and steps={self.steps} must both be at least 1.")
        if not 16 <= self.size <= 1024 or self.size % 2:
            raise UserError(f"size={self.size}: videos need an even image size from 16 to 1024.")
        if not 0 <= self.randomize <= 1:
            raise UserError(f"randomize={self.randomize} is outside 0..1.")
        training_seed(self.seed, self.episodes - 1)
