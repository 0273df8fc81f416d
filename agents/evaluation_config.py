"""What an evaluation scores."""

from __future__ import annotations

from dataclasses import dataclass

from agents.agent import AGENTS, check_view, checkpoint_of
from agents.planners import check_planner
from envs.errors import UserError, unknown_name
from envs.scene.names import OBJECTS
from envs.seeds import evaluation_seed
from envs.tasks import TASKS
from envs.variation import ASPECTS, check_aspects

BASELINES = ("expert", "random", "still")  # the ceiling and the two floors


@dataclass(frozen=True)
class EvaluationConfig:
    """What to score.

    Attributes:
        agent: see :data:`agents.AGENTS`.
        baselines: of :data:`BASELINES`, scored beside it on the same seeds; none for a run that stands beside another
            with them in ``vjepa-sim compare``.
        checkpoint: see :func:`agents.agent.checkpoint_of`.
        planner: for ``mpc``, ``cosmos`` and ``oracle``, see :data:`agents.planners.PLANNERS`.
        tasks, objects: one cell for each pair.
        episodes: per cell.
        seed: of the first episode; the others follow. Below 2³¹, where no training data come from.
        goals: ``paper`` (one goal image, three for pick and place) or ``dense`` (more sub-goal images).
        randomize: strength of domain randomisation.
        vary: what is randomised, of :data:`envs.variation.ASPECTS`.
        size: of the camera's images in pixels.
        gripper: ``robotiq`` or ``panda_hand``.
        videos: most videos per cell, failures first.
        device: where a checkpoint of our making computes, see :func:`vjepa_sim.compute.find_device`.
        azimuth: of the camera in degrees, see :func:`envs.scene.cameras.left_at`; None for the nominal one.
        view: for ``mpc``: a calibration of the camera, see :mod:`agents.view`.
    """

    agent: str = "mpc"
    baselines: tuple[str, ...] = BASELINES
    checkpoint: str | None = None
    planner: str = "default"
    tasks: tuple[str, ...] = tuple(TASKS)
    objects: tuple[str, ...] = OBJECTS
    episodes: int = 20
    seed: int = 0
    goals: str = "paper"
    randomize: float = 0.0
    vary: tuple[str, ...] = tuple(ASPECTS)
    size: int = 256
    gripper: str = "robotiq"
    videos: int = 4
    device: str = "auto"
    azimuth: float | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        checks = (
            [(self.agent, "agent", AGENTS)]
            + [(b, "baseline", BASELINES) for b in self.baselines]
            + [(t, "task", TASKS) for t in self.tasks]
            + [(o, "object", OBJECTS) for o in self.objects]
        )
        check_planner(self.agent, self.planner)
        check_aspects(self.vary)
        object.__setattr__(
            self, "vary", tuple(name for name in ASPECTS if name in self.vary)
        )  # in whatever order given
        for name, kind, valid in checks:
            if name not in valid:
                raise unknown_name(kind, name, valid)
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

    @property
    def agents(self) -> list[str]:
        """Everyone who is scored, in the table's order."""
        return list(dict.fromkeys((self.agent, *self.baselines)))
