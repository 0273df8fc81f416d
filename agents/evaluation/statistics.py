"""Rates that can be trusted: counts, intervals, tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np


@dataclass(frozen=True)
class EpisodeScore:
    """One episode.

    Attributes:
        seed: of the environment.
        success: at the end of the budget.
        success_ever: at any moment.
        steps: control steps until the first success, or the whole budget.
        final_error_m: metres left to the goal at the end, in the task's measure; NaN if nobody knows.
        plan_seconds: median time of one decision.
        model_evaluations: median per decision.
        hand_error_m: metres from the flange to its place in the last goal image, at the end; NaN if nobody knows.
        fault: what stopped the arm before the budget was spent, or ""; such an episode has failed.
        judge: who said whether it succeeded: the ``task``'s own test, the ``operator``, or ``nobody``.
    """

    seed: int
    success: bool
    success_ever: bool
    steps: int
    final_error_m: float
    plan_seconds: float
    model_evaluations: float
    hand_error_m: float
    fault: str = ""
    judge: str = "task"

    def to_dict(self) -> dict:
        """JSON-compatible, where NaN is None."""
        return {name: _known(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, told: dict) -> EpisodeScore:
        """The same again."""
        return cls(**{name: math.nan if value is None else value for name, value in told.items()})


@dataclass(frozen=True)
class Cell:
    """One agent on one task with one object.

    Attributes:
        agent, task, object: which.
        episodes: its scores.
        told: what the agent was told of the goal: its ``image`` alone, or the simulator's ``truth``.
    """

    agent: str
    task: str
    object: str
    episodes: tuple[EpisodeScore, ...]
    told: str = "image"

    def to_dict(self) -> dict:
        """As in eval_info.json; percentages, seconds, metres."""
        episodes = self.episodes
        n = len(episodes)
        successes = sum(episode.success for episode in episodes)
        low, high = wilson_interval(successes, n)
        return {
            "agent": self.agent,
            "task": self.task,
            "object": self.object,
            "told": self.told,
            "n_episodes": n,
            "n_success": successes,
            "pc_success": 100 * successes / n,
            "pc_success_ci95": [100 * low, 100 * high],
            "pc_success_ever": 100 * sum(episode.success_ever for episode in episodes) / n,
            "judged_by": ", ".join(sorted({episode.judge for episode in episodes})),
            "final_error_m_median": _known(float(np.median([episode.final_error_m for episode in episodes]))),
            "steps_mean": float(np.mean([episode.steps for episode in episodes])),
            "plan_seconds_median": float(np.median([episode.plan_seconds for episode in episodes])),
            "model_evaluations_per_action": float(np.median([episode.model_evaluations for episode in episodes])),
            "episodes": [episode.to_dict() for episode in episodes],
        }


def _known(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def wilson_interval(successes: float, n: float) -> tuple[float, float]:
    """95 % score interval of a rate (Wilson, 1927), in 0..1."""
    z = NormalDist().inv_cdf(0.975)
    middle, half = successes + z**2 / 2, z * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    return max(0.0, (middle - half) / (n + z**2)), min(1.0, (middle + half) / (n + z**2))


def interval_over_starts(cells: Sequence[dict]) -> tuple[float, float]:
    """95 % interval of one agent's rate over several cells, in 0..1.

    Cells share their starts, so that a seed's episodes aren't independent of each other. Wilson's interval is that of
    fewer episodes then: of as many as would be as uncertain if they were (Kish's design effect; Korn and Graubard,
    1998), and never of more than there are. With one cell it is Wilson's.

    Args:
        cells: as in eval_info.json.
    """
    wins: dict[int, list[bool]] = {}
    for cell in cells:
        for episode in cell["episodes"]:
            wins.setdefault(episode["seed"], []).append(bool(episode["success"]))
    n, starts = sum(map(len, wins.values())), len(wins)
    rate = sum(map(sum, wins.values())) / n
    effect = 1.0
    if 0 < rate < 1 and starts > 1:
        apart = sum((sum(each) - rate * len(each)) ** 2 for each in wins.values()) * starts / (starts - 1)
        effect = max(1.0, apart / (n * rate * (1 - rate) * n / (n - 1)))
    return wilson_interval(rate * n / effect, n / effect)


def told_rate(cells: Sequence[dict]) -> str:
    """One agent's rate over one or several cells as tables tell it, with its 95 % interval: ``9/10 (60–98 %)``."""
    successes, n = (sum(cell[name] for cell in cells) for name in ("n_success", "n_episodes"))
    low, high = (100 * bound for bound in interval_over_starts(cells))
    digits = 1 if round(low) == round(high) else 0  # of many episodes that all end alike
    return f"{successes}/{n} ({low:.{digits}f}–{high:.{digits}f} %)"


def markdown_table(cells: Sequence[dict]) -> str:
    """The success table, one row per cell."""
    columns = [
        "task",
        "object",
        "agent",
        "told of the goal",
        "success at the end",
        "judged by",
        "95 % interval",
        "ever",
        "n",
    ]
    columns += ["error left, median", "steps", "s / action", "model evaluations / action"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for cell in cells:
        low, high = cell["pc_success_ci95"]
        left = cell["final_error_m_median"]
        row = [
            cell["task"],
            cell["object"],
            cell["agent"],
            cell["told"],
            f"{cell['pc_success']:.1f} % ({cell['n_success']}/{cell['n_episodes']})",
            cell["judged_by"],
            f"{low:.1f}–{high:.1f}",
            f"{cell['pc_success_ever']:.1f} %",
            f"{cell['n_episodes']}",
            "unknown" if left is None else f"{100 * left:.1f} cm",
            f"{cell['steps_mean']:.1f}",
            f"{cell['plan_seconds_median']:.3f}",
            f"{cell['model_evaluations_per_action']:.0f}",
        ]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"
