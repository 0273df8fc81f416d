"""Settings of an action score."""

from __future__ import annotations

from dataclasses import dataclass

from vjepa_sim.agents.registry import DEFAULT_PLANNER, PlannerName
from vjepa_sim.envs.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Settings of an action score.

    Attributes:
        checkpoint: world model: a bundled name, a folder, or a released .pt file.
        planner: planner, see docs/planning.md; its horizon is replaced.
        clips: number of clips to draw, with replacement; from data that the model was trained on, only of held-out
            episodes.
        horizon: steps from a clip's first image to its last, and of the plan.
    """

    checkpoint: str = "tiny"
    planner: PlannerName = DEFAULT_PLANNER
    clips: int = 100
    horizon: int = 3

    def __post_init__(self) -> None:
        from vjepa_sim.agents.planning.presets import PLANNERS

        if min(self.clips, self.horizon) < 1:
            raise UserError(f"clips={self.clips} and horizon={self.horizon} must both be at least 1.")
        PLANNERS.check(self.planner)
