"""Where evaluations of several agents differ: tables of success, of methods, and of every two on the episodes they
share.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vjepa_sim.agents.comparison.comparison import Comparison, warnings_of
from vjepa_sim.agents.comparison.conditions import SETTINGS, compare_looks, identity, look_of
from vjepa_sim.agents.comparison.paired import MOST, SIGNIFICANCE, Paired, p_over_starts
from vjepa_sim.agents.comparison.run_folder import RunFolder, successes_of
from vjepa_sim.agents.evaluation.statistics import interval_over_starts, told_rate
from vjepa_sim.card import COMPUTE_SECONDS
from vjepa_sim.envs.errors import UserError

SAME = ("goals", "gripper", "period")  # a seed's start and goals are the same under every look
FREE = (
    "agent",
    "baselines",
    "checkpoint",
    "checkpoint_crc32",
    "planner",
    "tasks",
    "objects",
    "episodes",
    "seed",
    "videos",
    "device",
)


def compare_cells(runs: list[RunFolder]) -> Comparison:
    """Compare each evaluation with the first one of its look; and the first ones of all looks with the first of all."""
    looks, pairs = compare_looks(runs), _pairs(runs)
    # What varies is told by the table of looks, unless some pair differs in its agent besides.
    mixed = any(look_of(a.config) != look_of(b.config) and identity(a.config) != identity(b.config) for a, b in pairs)
    warnings = warnings_of(runs, FREE if mixed else (*FREE, *SETTINGS))
    lines = [f"# {', '.join(run.name for run in runs)}\n", *warnings]
    lines += [*_overview(runs, pairs), *_methods(runs), looks.text]
    numbers = []
    for first, other in pairs:
        cells = _paired_cells(first, other)
        lines += _paired_table(first, other, cells)
        numbers += cells
    lines.append(
        "Intervals are Wilson's, of all tasks and objects together wider by as much as one start's episodes end "
        "alike, for they share their starts. p of a task and object is McNemar's exact test, that of all together an "
        "exact test that exchanges two agents start by start. More episodes: to tell the two apart at 5 % in 80 % of "
        "all cases, if their rates stay as they are here. If all agents were equally good, up to "
        f"{SIGNIFICANCE * len(numbers):.1f} of these {len(numbers)} tests of single tasks and objects would still find "
        "a difference.\n"
    )
    return Comparison(
        "\n".join(lines),
        {
            "compare": "eval",
            "runs": [_summary(run) for run in runs],
            "cells": numbers,
            "warnings": warnings,
            **looks.numbers,
        },
    )


def _pairs(runs: list[RunFolder]) -> list[tuple[RunFolder, RunFolder]]:
    """What each run but the first is held against, and itself."""
    firsts: dict[str, RunFolder] = {}
    pairs = []
    for run in runs:
        pairs.append((firsts.get(look_of(run.config), runs[0]), run))
        firsts.setdefault(look_of(run.config), run)
    return pairs[1:]


def _paired_cells(first: RunFolder, other: RunFolder) -> list[dict[str, Any]]:
    """What the episodes say that two runs share, for each task and object that both have; JSON-compatible."""
    theirs = other.scored()
    shared = [(cell, theirs[key]) for key, cell in first.scored().items() if key in theirs]
    if not shared:
        raise UserError(f"{first.folder} and {other.folder} have no task and object in common.")
    if first.successes().keys().isdisjoint(other.successes()):
        raise UserError(
            f"{first.folder} and {other.folder} share no episode: their seeds differ. Score both with the same --seed."
        )
    cells = []
    for a, b in shared:
        paired = Paired.of(successes_of(a), successes_of(b))
        names = {"first": first.name, "second": other.name, "task": a["task"], "object": a["object"]}
        more = paired.more_to_tell() if paired.n else None
        cells.append({**names, "p_value": paired.p_value, "more_to_tell": more, **asdict(paired)})
    return cells


def _paired_table(first: RunFolder, other: RunFolder, cells: list[dict[str, Any]]) -> list[str]:
    """The same as a table."""
    lines = [
        f"## {first.name} ({first.agent}) and {other.name} ({other.agent})\n",
        f"| task | object | {first.name} | {other.name} | shared episodes | both | only {first.name} "
        f"| only {other.name} | neither | p (McNemar) | more episodes to tell |",
        "|---" * 11 + "|",
    ]
    scored = first.scored(), other.scored()
    for cell in cells:
        rates = [told_rate([each[cell["task"], cell["object"]]]) for each in scored]
        counts = [cell[name] for name in ("both", "only_first", "only_second", "neither")]
        told = [f"{cell['p_value']:.3g}", _told(cell["more_to_tell"])] if sum(counts) else ["", "none shared"]
        lines.append(f"| {' | '.join(map(str, [cell['task'], cell['object'], *rates, sum(counts), *counts, *told]))} |")
    return [*lines, ""]


def _overview(runs: list[RunFolder], pairs: list[tuple[RunFolder, RunFolder]]) -> list[str]:
    """All runs in one table: a row for each, a column for each task and object, and what all their episodes together
    say.
    """
    columns = list(dict.fromkeys((cell["task"], cell["object"]) for run in runs for cell in run.cells))
    lines = [
        f"| run | {' | '.join(f'{task} {name}' for task, name in columns)} | all | shared episodes | p (by starts) |",
        "|---" * (len(columns) + 4) + "|",
    ]
    held_against = {run.name: first for first, run in pairs}
    for run in runs:
        cells = run.scored()
        rates = _rates(cells, columns)
        whole, against, p_value = told_rate(list(cells.values())), "", ""
        if len(cells) < len(columns):
            whole += f" of {len(cells)} of {len(columns)} cells"
        if run.name in held_against:
            first = held_against[run.name]
            paired = Paired.of(first.successes(), run.successes())
            if paired.n:
                against = f"{paired.points:+.1f} points over {paired.n} against {first.name}"
                p_value = f"{p_over_starts(first.successes(), run.successes()):.3g}"
        lines.append(f"| {run.name} | {' | '.join(rates)} | {whole} | {against} | {p_value} |")
    return [*lines, *_baseline_rows(runs[0], columns), ""]


def _baseline_rows(run: RunFolder, columns: list[tuple[str, str]]) -> list[str]:
    """The ceiling and the floors that were scored beside a run's own agent, under the table of all runs."""
    names = dict.fromkeys(cell["agent"] for cell in run.cells if cell["agent"] != run.config["agent"])
    rows = []
    for name in names:
        cells = {(cell["task"], cell["object"]): cell for cell in run.cells if cell["agent"] == name}
        rates = _rates(cells, columns)
        whole = told_rate(list(cells.values()))
        rows.append(f"| {name}, beside {run.name} | {' | '.join(rates)} | {whole} | | |")
    return rows


def _rates(cells: dict[tuple[str, str], dict[str, Any]], columns: list[tuple[str, str]]) -> list[str]:
    """One agent's successes of episodes in each column; empty where it has no such cell."""
    return [f"{cells[c]['n_success']}/{cells[c]['n_episodes']}" if c in cells else "" for c in columns]


def _summary(run: RunFolder) -> dict[str, Any]:
    """What all cells of a run say together, how its agent decides, and what it had learned from; JSON-compatible."""
    cells = list(run.scored().values())
    successes, episodes = run.counts()
    seconds = sum(cell["plan_seconds_median"] * cell["n_episodes"] for cell in cells) / max(1, episodes)
    return {
        "name": run.name,
        "agent": run.agent,
        "n_success": successes,
        "n_episodes": episodes,
        "success_ci95": interval_over_starts(cells),
        "plan_seconds": seconds,
        "model_evaluations": max((cell["model_evaluations_per_action"] for cell in cells), default=0),
        **run.method,
    }


def _methods(runs: list[RunFolder]) -> list[str]:
    """How each run's agent decides, how long that takes, and what it learned from; what isn't known is left empty."""
    lines = [
        "| run | agent | s / action | threads | model evaluations | samples | rounds | horizon | success | parameters "
        "| episodes learned from | frames | training |",
        "|---" * 13 + "|",
    ]
    for run in runs:
        told = _summary(run)
        parameters, spent = told.get("parameters"), told.get(COMPUTE_SECONDS) or {}
        row = [run.name, told["agent"], f"{told['plan_seconds']:.3g}", told.get("threads", "")]
        row += [f"{told['model_evaluations']:.0f}"]
        row += [told.get(name, "") for name in ("samples", "iterations", "horizon")]
        row += [f"{100 * told['n_success'] / max(1, told['n_episodes']):.0f} %"]
        row += ["" if parameters is None else f"{parameters / 1e6:.1f} M"]
        row += [f"{told[name]:,}" if name in told else "" for name in ("episodes", "frames")]
        row += [" + ".join(f"{seconds / 3600:.1f} {unit}-hours" for unit, seconds in spent.items())]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return [*lines, ""]


def _told(more: int | None) -> str:
    """How many more episodes are needed."""
    if more is None:
        return "no difference so far"
    if more == 0:
        return f"none: p < {SIGNIFICANCE}"
    if more >= MOST:
        return f"more than {MOST:,}"
    return f"about {float(f'{more:.2g}'):,.0f}"
