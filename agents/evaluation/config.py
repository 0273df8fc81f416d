"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vjepa_sim.agents.registry import (
    AGENTS,
    DEFAULT_PLANNER,
    AgentName,
    PlannerName,
    check_planner,
    check_view,
    checkpoint_of,
    reference_policies,
)
from vjepa_sim.envs.episode_config import EpisodeConfig
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.options import OneOf, SeveralOf
from vjepa_sim.envs.scene.variation import ASPECTS, check_aspects
from vjepa_sim.envs.seeds import evaluation_seed
from vjepa_sim.envs.tasks import PROTOCOLS


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(EpisodeConfig):
    """Settings of an evaluation: every task with every object.

    Attributes:
        agent: agent to evaluate.
        baselines: reference policies to evaluate on the same seeds; none if another run in compare has them. Of all,
            those that can't do a task are left out there.
        checkpoint: checkpoint of the agent: a bundled name, a folder, or a released .pt file; octo and cosmos take
            their own formats. The agent's default if not given.
        planner: planner of an agent that plans, see docs/planning.md.
        episodes: episodes per task and object.
        seed: random seed of the first episode, the others follow; below 2³¹, as training data have seeds above.
        goals: paper (one goal image; three for pick and place) or dense (more sub-goal images).
        randomize: strength of domain randomisation, 0 to 1. The starts and goals of a seed stay the same.
        vary: randomised aspects.
        size: height and width of the camera's images in pixels.
        videos: maximum number of videos per task and object, failures first.
        device: device of a checkpoint in this project's format: auto, cpu, cuda or cuda:NUMBER.
        azimuth: azimuth of the camera in degrees, 0 in front of the arm, 90 at its left; 54.6 if not given.
        view: calibration of the camera by calibrate-view, for mpc: a folder or its view.json.
    """

    agent: AgentName = "mpc"
    baselines: Annotated[tuple[str, ...], SeveralOf(reference_policies)] = field(default_factory=reference_policies)
    checkpoint: str | None = None
    planner: PlannerName = DEFAULT_PLANNER
    episodes: int = 20
    seed: int = 0
    goals: Annotated[str, OneOf(PROTOCOLS)] = "paper"
    randomize: float = 0.0
    vary: Annotated[tuple[str, ...], SeveralOf(ASPECTS)] = tuple(ASPECTS)
    size: int = 256
    videos: int = 4
    device: str = "auto"
    azimuth: float | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        AGENTS.check(self.agent)
        super().__post_init__()
        references = reference_policies()
        for name in self.baselines:
            if name not in references:
                raise unknown_name("baseline", name, references)
            if self.baselines != references:
                for task, _ in self.pairs:
                    AGENTS[name].check_task(task)
        check_planner(self.agent, self.planner)
        check_aspects(self.vary)
        object.__setattr__(self, "vary", tuple(name for name in ASPECTS if name in self.vary))  # in a fixed order
        object.__setattr__(self, "checkpoint", checkpoint_of(self.agent, self.checkpoint))
        check_view(self.agent, self.view)
        if set(self.vary) != set(ASPECTS) and self.randomize == 0:
            raise UserError(
                f"--vary {','.join(self.vary)}: nothing is randomised with --randomize 0. Give a strength, such as 1."
            )
        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        if self.videos < 0:
            raise UserError(f"--videos {self.videos}: give 0 or more.")
        evaluation_seed(self.seed, self.episodes)

    def check_pair(self, task: str, object_name: str) -> None:
        """See :meth:`.EpisodeConfig.check_pair`; the agent must be able to do the task, too."""
        super().check_pair(task, object_name)
        AGENTS[self.agent].check_task(task)

    def agents_for(self, task: str) -> list[str]:
        """Agents to evaluate on a task, in the order of the table."""
        unable = self._unable
        return [name for name in dict.fromkeys((self.agent, *self.baselines)) if (name, task) not in unable]

    @property
    def notes(self) -> list[str]:
        """See :attr:`.EpisodeConfig.notes`; baselines that can't do a task are left out, too."""
        return [*super().notes, *(f"Left out: {name} on {task}. {why}" for (name, task), why in self._unable.items())]

    @property
    def _unable(self) -> dict[tuple[str, str], str]:
        """Baselines and tasks that they can't do, with the reason."""
        reasons = {}
        for name in self.baselines:
            for task in dict.fromkeys(task for task, _ in self.pairs):
                try:
                    AGENTS[name].check_task(task)
                except UserError as error:
                    reasons[name, task] = str(error)
        return reasons
