"""Success rates with confidence intervals, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from vjepa_sim.envs.errors import printable

PRIVILEGED = "truth"  # in files: the agent is given the simulator's state of the goal
LEGEND = (
    "Goal: what the agent is given of it. Success at the end of the step budget, with its 95 % interval (Wilson); "
    "success ever: at any step. Steps: mean control steps until the first success, the whole budget without one. "
    "Times and evaluations are medians."
)


@dataclass(frozen=True, kw_only=True)
class EpisodeScore:
    """Result of one episode.

    Attributes:
        seed: random seed of the environment; index of the episode on a robot.
        success: whether the task was solved at the end of the budget.
        success_ever: whether the task was solved at any step.
        steps: control steps until the first success, or the whole budget.
        final_error_m: the task's error at the end, metres; NaN if unknown.
        plan_seconds: median time of a decision.
        model_evaluations: median number of model evaluations per decision.
        hand_error_m: distance of the flange from its position in the last goal image, at the end, metres; NaN if
            unknown.
        fault: fault that stopped the arm before the end of the budget, or ""; such an episode has failed.
        judge: judge of the success: the ``task``'s own test, the ``operator``, or ``nobody``.
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
        """JSON-compatible form, with None for NaN."""
        return {name: _known(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EpisodeScore:
        """Inverse of :meth:`to_dict`."""
        known: dict[str, Any] = {name: math.nan if value is None else value for name, value in values.items()}
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class ConditionResult:
    """Results of one agent on one task with one object.

    Attributes:
        agent, task, object: names of agent, task and object.
        episodes: results of the episodes, at least one.
        privileged: whether the agent is given the simulator's state of the goal instead of its image.
    """

    agent: str
    task: str
    object: str
    episodes: tuple[EpisodeScore, ...]
    privileged: bool = False

    def to_dict(self) -> dict:
        """Entry of ``eval_info.json``: percentages, seconds, metres."""
        episodes = self.episodes
        n = len(episodes)
        successes = sum(episode.success for episode in episodes)
        low, high = wilson_interval(successes, n)
        return {
            "agent": self.agent,
            "task": self.task,
            "object": self.object,
            "told": PRIVILEGED if self.privileged else "image",
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
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value


def wilson_interval(successes: float, n: float) -> tuple[float, float]:
    """95 % confidence interval of a rate (Wilson, 1927).

    Args:
        successes: number of successes.
        n: number of trials.

    Returns:
        Lower and upper bound, 0 to 1.
    """
    z = NormalDist().inv_cdf(0.975)
    middle, half = successes + z**2 / 2, z * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    return max(0.0, (middle - half) / (n + z**2)), min(1.0, (middle + half) / (n + z**2))


def interval_over_starts(cells: Sequence[dict]) -> tuple[float, float]:
    """95 % confidence interval of an agent's success rate over several tasks and objects.

    Episodes of one seed share their start over tasks and objects and are not independent. So Wilson's interval is
    computed for an effective number of episodes (Kish's design effect; Korn and Graubard, 1998), at most the actual
    one. With one task and object it is Wilson's.

    Args:
        cells: entries of ``eval_info.json``.

    Returns:
        Lower and upper bound, 0 to 1.
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


def format_rate(cells: Sequence[dict]) -> str:
    """An agent's success rate with its 95 % interval, as in ``9/10 (60–98 %)``.

    Args:
        cells: entries of ``eval_info.json``.
    """
    successes, n = (sum(cell[name] for cell in cells) for name in ("n_success", "n_episodes"))
    low, high = (100 * bound for bound in interval_over_starts(cells))
    digits = 1 if round(low) == round(high) else 0  # a narrow interval
    return f"{successes}/{n} ({low:.{digits}f}–{high:.{digits}f} %)"


def markdown_table(cells: Sequence[dict]) -> str:
    """Table of success rates in Markdown, with a legend.

    Args:
        cells: entries of ``eval_info.json``, a row for each.
    """
    columns = [
        "task",
        "object",
        "agent",
        "goal",
        "success at the end",
        "judged by",
        "95 % interval",
        "success ever",
        "n",
    ]
    columns += ["final error, median", "steps", "s / action", "model evaluations / action"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for cell in cells:
        low, high = cell["pc_success_ci95"]
        left = cell["final_error_m_median"]
        row = [
            cell["task"],
            cell["object"],
            cell["agent"],
            "state" if cell["told"] == PRIVILEGED else cell["told"],
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
    return "\n".join(lines) + f"\n\n{LEGEND}\n{_fault_lines(cells)}"


def _fault_lines(cells: Sequence[dict]) -> str:
    """A line for each row with episodes that a fault ended."""
    lines = []
    for cell in cells:
        faults = [str(episode["fault"]) for episode in cell["episodes"] if episode.get("fault")]
        if faults:
            row = f"{cell['agent']}, {cell['task']} with {cell['object']}"
            first = " ".join(printable(faults[0]).split())
            lines.append(
                f"\n{row}: {len(faults)} of {cell['n_episodes']} episodes ended by a fault, the first: {first}\n"
            )
    return "".join(lines)
