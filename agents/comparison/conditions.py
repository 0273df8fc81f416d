"""Success rates of the same agents under several conditions (randomisation, camera), on the same starts and goals."""

from __future__ import annotations

from typing import Any

from vjepa_sim.agents.comparison.comparison import Comparison
from vjepa_sim.agents.comparison.paired import Paired, p_over_starts
from vjepa_sim.agents.comparison.run_folder import CONDITION, RunFolder
from vjepa_sim.agents.evaluation.statistics import format_rate
from vjepa_sim.envs.scene.variation import ASPECTS

NOMINAL = "nominal"
SETTINGS = tuple(CONDITION)  # settings of an evaluation that define its condition


def condition_of(config: dict[str, Any]) -> str:
    """An evaluation's condition in words: what is randomised, at which strength, and the camera's azimuth."""
    strength, azimuth = config.get("randomize", 0.0), config.get("azimuth")
    words = []
    if strength:
        varied = ", ".join(name for name in ASPECTS if name in config["vary"])  # in a fixed order
        words.append(varied + ("" if strength == 1 else f" at {strength:g}"))
    if azimuth is not None:
        words.append(f"camera at {azimuth:g}°")
    return "; ".join(words) or NOMINAL


def identity(config: dict[str, Any]) -> tuple:
    """Agent, checkpoint, planner and calibration of an evaluation; equal for equal agents."""
    model = config.get("checkpoint_crc32") or config.get("checkpoint")
    return config["agent"], model, config.get("planner", "default"), config.get("view_angle")


def compare_conditions(runs: list[RunFolder]) -> Comparison:
    """Tabulate success rates, a row for each agent and a column for each condition.

    Differences are to the agent's first condition, over shared episodes.

    Args:
        runs: evaluations.

    Returns:
        The table; empty unless an agent was evaluated under two conditions.
    """
    agents: dict[tuple, dict[str, RunFolder]] = {}
    for run in runs:
        condition, number = condition_of(run.config), 0
        while condition in agents.setdefault((identity(run.config), number), {}):  # repeated: another row
            number += 1
        agents[identity(run.config), number][condition] = run
    agents = {key: conditions for key, conditions in agents.items() if len(conditions) > 1}
    if not agents:
        return Comparison("", {})
    columns = list(dict.fromkeys(condition for conditions in agents.values() for condition in conditions))
    lines = ["## Success by condition\n", f"| agent | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    numbers = []
    for conditions in agents.values():
        (first_condition, first), *others = conditions.items()
        rates = {condition: format_rate(list(run.scored().values())) for condition, run in conditions.items()}
        for condition, run in others:
            paired = Paired.of(first.successes(), run.successes())
            if paired.n:
                p_value = p_over_starts(first.successes(), run.successes())
                rates[condition] += f", {paired.points:+.1f} points, p = {p_value:.2g}"
                found = {"points": paired.points, "p_value": p_value, "n": paired.n}
                numbers.append({"agent": run.agent, "look": condition, "against": first_condition, **found})
        lines.append(f"| {first.agent} | {' | '.join(rates.get(condition, '') for condition in columns)} |")
    lines += [
        "",
        "Percentage points and p (exact test by starts): against the agent's first condition in this table, over "
        "shared episodes.\n",
    ]
    return Comparison("\n".join(lines), {"looks": numbers})
