"""The same agents under several looks of the scene: what a look costs them, on the same starts and goals."""

from __future__ import annotations

from typing import Any

from vjepa_sim.agents.comparison.comparison import Comparison
from vjepa_sim.agents.comparison.paired import Paired, p_over_starts
from vjepa_sim.agents.comparison.run_folder import LOOK, RunFolder
from vjepa_sim.agents.evaluation.statistics import told_rate
from vjepa_sim.envs.scene.variation import ASPECTS

NOMINAL = "nominal"
SETTINGS = tuple(LOOK)  # of an evaluation, that a look consists of


def look_of(config: dict[str, Any]) -> str:
    """An evaluation's look of the scene, in words: what varied, by which share of full strength, and where the camera
    stood.
    """
    strength, azimuth = config.get("randomize", 0.0), config.get("azimuth")
    words = []
    if strength:
        varied = ", ".join(name for name in ASPECTS if name in config["vary"])  # in whatever order it was given
        words.append(varied + ("" if strength == 1 else f" at {strength:g}"))
    if azimuth is not None:
        words.append(f"camera at {azimuth:g}°")
    return "; ".join(words) or NOMINAL


def identity(config: dict[str, Any]) -> tuple:
    """What makes two evaluations' agents the same one."""
    model = config.get("checkpoint_crc32") or config.get("checkpoint")
    return config["agent"], model, config.get("planner", "default"), config.get("view_angle")


def compare_looks(runs: list[RunFolder]) -> Comparison:
    """A row for each agent, a column for each look; empty unless an agent was scored under two.

    Differences are to the first look that an agent was scored under, over the episodes that both have.
    """
    agents: dict[tuple, dict[str, RunFolder]] = {}
    for run in runs:
        look, number = look_of(run.config), 0
        while look in agents.setdefault((identity(run.config), number), {}):  # scored twice: a row of its own
            number += 1
        agents[identity(run.config), number][look] = run
    agents = {key: looks for key, looks in agents.items() if len(looks) > 1}
    if not agents:
        return Comparison("", {})
    columns = list(dict.fromkeys(look for looks in agents.values() for look in looks))
    lines = ["## What a look costs\n", f"| agent | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    numbers = []
    for looks in agents.values():
        (first_look, first), *others = looks.items()
        told = {look: told_rate(list(run.scored().values())) for look, run in looks.items()}
        for look, run in others:
            paired = Paired.of(first.successes(), run.successes())
            if paired.n:
                p_value = p_over_starts(first.successes(), run.successes())
                told[look] += f", {paired.points:+.1f} points, p = {p_value:.2g}"
                found = {"points": paired.points, "p_value": p_value, "n": paired.n}
                numbers.append({"agent": run.agent, "look": look, "against": first_look, **found})
        lines.append(f"| {first.agent} | {' | '.join(told.get(look, '') for look in columns)} |")
    lines += [
        "",
        "Points and p (exact, by starts): against the same agent's first look here, on the episodes that both have.\n",
    ]
    return Comparison("\n".join(lines), {"looks": numbers})
