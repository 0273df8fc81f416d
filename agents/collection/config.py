"""Settings of a collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vjepa_sim.agents.registry import AGENTS, DEFAULT_PLANNER, AgentName, PlannerName, check_planner
from vjepa_sim.envs.episode_config import EpisodeConfig
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.options import SeveralOf, Shares
from vjepa_sim.envs.scene.cameras import CAMERAS, LEFT
from vjepa_sim.envs.seeds import training_seed

DEFAULT_MIX = {"expert": 0.15, "noisy-expert": 0.40, "explore": 0.35, "random": 0.10}


@dataclass(frozen=True, kw_only=True)
class CollectConfig(EpisodeConfig):
    """Settings of a collection. Equal settings give equal episodes, with any number of processes.

    Episodes use the start states of the tasks, and the objects, in turn.

    Attributes:
        episodes: total number of episodes; a larger number continues an earlier collection.
        seed: random seed, 0 to 2146; its episodes are never those of eval.
        size: height and width of the images in pixels.
        steps: maximum number of control steps (0.25 s) per episode; the expert's episodes end soon after success.
        randomize: maximum strength of domain randomisation, 0 to 1. Half of the episodes are not randomised, the
            strength of the others is uniform up to this value.
        mix: share of each behavior, such as expert=0.5,random=0.5.
        cameras: recorded cameras.
        checkpoint: checkpoint of the agent that acts in some behaviors, such as planner (DAgger): it acts first, then
            the expert, whose actions are recorded at every step.
        agent: agent of these behaviors.
        planner: planner of that agent; policy is the fastest.
    """

    episodes: int
    seed: int = 0
    size: int = 128
    steps: int = 24
    randomize: float = 0.3
    mix: Annotated[dict[str, float], Shares("vjepa_sim.agents.collection.behaviors:BEHAVIORS")] = field(
        default_factory=lambda: dict(DEFAULT_MIX)
    )
    cameras: Annotated[tuple[str, ...], SeveralOf(CAMERAS)] = (LEFT.name,)
    checkpoint: str | None = None
    agent: AgentName = "mpc"
    planner: PlannerName = "policy"

    def __post_init__(self) -> None:
        from vjepa_sim.agents.collection.behaviors import BEHAVIORS

        BEHAVIORS.check(*self.mix)
        super().__post_init__()
        CAMERAS.check(*self.cameras)
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise UserError(f"cameras={self.cameras}: give at least one, and each once.")
        for name, share in self.mix.items():
            if not 0 <= share < float("inf"):
                raise UserError(f"The share of behavior {name!r} is {share}; it must be a number and not negative.")
        if not sum(self.mix.values()) > 0:
            raise UserError(
                f"The shares of the mix {self.mix} add up to 0; give at least one behavior a positive share."
            )
        acting = any(share > 0 and BEHAVIORS[name].needs_agent for name, share in self.mix.items())
        with_agent = ", ".join(name for name, each in BEHAVIORS.items() if each.needs_agent)
        if acting != (self.checkpoint is not None):
            raise UserError(
                f"mix={self.mix} and checkpoint={self.checkpoint}: a behavior with an agent ({with_agent}), and no "
                "other, needs a checkpoint."
            )
        if not acting and (self.agent, self.planner) != (CollectConfig.agent, CollectConfig.planner):
            raise UserError(
                f"--agent {self.agent}, --planner {self.planner}: no effect without a behavior in which an agent acts. "
                f"Leave them out, or give {with_agent} a share in --mix."
            )
        spec = AGENTS[self.agent]
        if not spec.ours or spec.privileged:
            able = ", ".join(name for name, each in AGENTS.items() if each.ours and not each.privileged)
            raise UserError(
                f"Agent {self.agent!r} can't act in a collection: expected one with a checkpoint in this project's "
                f"format that isn't privileged: {able}."
            )
        if acting:  # the planners need PyTorch, which most collections don't
            check_planner(self.agent, self.agent_planner)
        if self.episodes < 1 or self.steps < 1:
            raise UserError(f"episodes={self.episodes} and steps={self.steps} must both be at least 1.")
        if not 16 <= self.size <= 1024 or self.size % 2:
            raise UserError(f"size={self.size}: videos need an even image size from 16 to 1024.")
        if not 0 <= self.randomize <= 1:
            raise UserError(f"randomize={self.randomize} is outside 0..1.")
        training_seed(self.seed, self.episodes - 1)

    def check_pair(self, task: str, object_name: str) -> None:
        """See :meth:`.EpisodeConfig.check_pair`; every behavior of the mix must be able to do the task, too."""
        from vjepa_sim.agents.collection.behaviors import BEHAVIORS

        super().check_pair(task, object_name)
        for name, share in self.mix.items():
            if share > 0:
                BEHAVIORS[name].check_task(task)

    def turn(self, index: int) -> tuple[str, str]:
        """Task and object of an episode, by its number."""
        left_out = self.left_out
        turns = [(task, name) for name in self.objects for task in self.tasks if (task, name) not in left_out]
        return turns[index % len(turns)]

    @property
    def agent_planner(self) -> str:
        """Planner of the agent; ``default`` for an agent without one, unless another is given."""
        without = not AGENTS[self.agent].planning and self.planner == CollectConfig.planner
        return DEFAULT_PLANNER if without else self.planner
