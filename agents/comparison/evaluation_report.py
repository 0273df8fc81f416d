"""Comparison of evaluations of several agents: success rates, methods, and paired tests on shared episodes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vjepa_sim.agents.comparison.comparison import Comparison, warnings_of
from vjepa_sim.agents.comparison.conditions import SETTINGS, compare_conditions, condition_of, identity
from vjepa_sim.agents.comparison.paired import MOST, SIGNIFICANCE, Paired, p_over_starts
from vjepa_sim.agents.comparison.run_folder import RunFolder, successes_of
from vjepa_sim.agents.evaluation.statistics import format_rate, interval_over_starts
from vjepa_sim.card import COMPUTE_SECONDS
from vjepa_sim.envs.errors import UserError

SAME = ("goals", "gripper", "period")  # the start and goals of a seed are the same under all conditions
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


def compare_evaluations(runs: list[RunFolder]) -> Comparison:
    """Compare each evaluation with the first one under its condition, and the first ones with each other.

    Args:
        runs: evaluations.

    Returns:
        The report.

    Raises:
        UserError: two runs share no task and object, or no episode.
    """
    conditions, pairs = compare_conditions(runs), _pairs(runs)
    # The table of conditions shows these settings, unless a pair differs in its agent too.
    mixed = any(
        condition_of(a.config) != condition_of(b.config) and identity(a.config) != identity(b.config) for a, b in pairs
    )
    warnings = warnings_of(runs, FREE if mixed else (*FREE, *SETTINGS))
    lines = [f"# {', '.join(run.name for run in runs)}\n", *warnings]
    lines += [*_overview(runs, pairs), *_methods(runs), conditions.text]
    numbers = []
    for first, other in pairs:
        cells = _paired_cells(first, other)
        lines += _paired_table(first, other, cells)
        numbers += cells
    lines.append(
        "Intervals are Wilson's; those over all tasks and objects are wider, as episodes from the same start are "
        "correlated. p for a task and object is from McNemar's exact test, p over all of them from an exact "
        "permutation test that exchanges two agents start by start. More episodes: number of further episodes for a "
        "significant difference at 5 % with 80 % power, if the success rates stay as they are. If all agents were "
        f"equally good, {SIGNIFICANCE * len(numbers):.1f} of these {len(numbers)} tests of single tasks and objects "
        "would be significant on average, or fewer.\n"
    )
    return Comparison(
        "\n".join(lines),
        {
            "compare": "eval",
            "runs": [_summary(run) for run in runs],
            "cells": numbers,
            "warnings": warnings,
            **conditions.numbers,
        },
    )


def _pairs(runs: list[RunFolder]) -> list[tuple[RunFolder, RunFolder]]:
    """Each run but the first, after the run that it is compared with."""
    firsts: dict[str, RunFolder] = {}
    pairs = []
    for run in runs:
        pairs.append((firsts.get(condition_of(run.config), runs[0]), run))
        firsts.setdefault(condition_of(run.config), run)
    return pairs[1:]


def _paired_cells(first: RunFolder, other: RunFolder) -> list[dict[str, Any]]:
    """Paired comparison of two runs for each task and object that both have; JSON-compatible."""
    theirs = other.scored()
    shared = [(cell, theirs[key]) for key, cell in first.scored().items() if key in theirs]
    if not shared:
        raise UserError(f"{first.folder} and {other.folder} have no task and object in common.")
    if first.successes().keys().isdisjoint(other.successes()):
        raise UserError(
            f"{first.folder} and {other.folder} share no episode: their seeds differ. Evaluate both with the "
            "same --seed."
        )
    cells = []
    for a, b in shared:
        paired = Paired.of(successes_of(a), successes_of(b))
        names = {"first": first.name, "second": other.name, "task": a["task"], "object": a["object"]}
        more = paired.more_to_tell() if paired.n else None
        cells.append({**names, "p_value": paired.p_value, "more_to_tell": more, **asdict(paired)})
    return cells


def _paired_table(first: RunFolder, other: RunFolder, cells: list[dict[str, Any]]) -> list[str]:
    """Paired comparison of two runs as a table."""
    lines = [
        f"## {first.name} ({first.agent}) and {other.name} ({other.agent})\n",
        f"| task | object | {first.name} | {other.name} | shared episodes | both | only {first.name} "
        f"| only {other.name} | neither | p (McNemar) | more episodes needed |",
        "|---" * 11 + "|",
    ]
    scored = first.scored(), other.scored()
    for cell in cells:
        rates = [format_rate([each[cell["task"], cell["object"]]]) for each in scored]
        counts = [cell[name] for name in ("both", "only_first", "only_second", "neither")]
        test = [f"{cell['p_value']:.3g}", _more(cell["more_to_tell"])] if sum(counts) else ["", "none shared"]
        lines.append(f"| {' | '.join(map(str, [cell['task'], cell['object'], *rates, sum(counts), *counts, *test]))} |")
    return [*lines, ""]


def _overview(runs: list[RunFolder], pairs: list[tuple[RunFolder, RunFolder]]) -> list[str]:
    """Success rates of all runs: a row for each run, a column for each task and object, and one over all of them."""
    columns = list(dict.fromkeys((cell["task"], cell["object"]) for run in runs for cell in run.cells))
    lines = [
        f"| run | {' | '.join(f'{task} {name}' for task, name in columns)} | all | shared episodes | p (by starts) |",
        "|---" * (len(columns) + 4) + "|",
    ]
    compared_with = {run.name: first for first, run in pairs}
    for run in runs:
        cells = run.scored()
        rates = _rates(cells, columns)
        whole, against, p_value = format_rate(list(cells.values())), "", ""
        if len(cells) < len(columns):
            whole += f" over {len(cells)} of {len(columns)} columns"
        if run.name in compared_with:
            first = compared_with[run.name]
            paired = Paired.of(first.successes(), run.successes())
            if paired.n:
                against = f"{paired.points:+.1f} points over {paired.n} against {first.name}"
                p_value = f"{p_over_starts(first.successes(), run.successes()):.3g}"
        lines.append(f"| {run.name} | {' | '.join(rates)} | {whole} | {against} | {p_value} |")
    return [*lines, *_reference_rows(runs[0], columns), ""]


def _reference_rows(run: RunFolder, columns: list[tuple[str, str]]) -> list[str]:
    """Rows of the reference policies that were evaluated in a run."""
    names = dict.fromkeys(cell["agent"] for cell in run.cells if cell["agent"] != run.config["agent"])
    rows = []
    for name in names:
        cells = {(cell["task"], cell["object"]): cell for cell in run.cells if cell["agent"] == name}
        rates = _rates(cells, columns)
        whole = format_rate(list(cells.values()))
        rows.append(f"| {name}, beside {run.name} | {' | '.join(rates)} | {whole} | | |")
    return rows


def _rates(cells: dict[tuple[str, str], dict[str, Any]], columns: list[tuple[str, str]]) -> list[str]:
    """Successes and episodes of an agent in each column; empty where it was not evaluated."""
    return [f"{cells[c]['n_success']}/{cells[c]['n_episodes']}" if c in cells else "" for c in columns]


def _summary(run: RunFolder) -> dict[str, Any]:
    """Success of a run's agent over all tasks and objects, its decision time, and its method; JSON-compatible."""
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
    """Decision time, planner, parameters and training data of each run's agent; empty where unknown."""
    lines = [
        "| run | agent | s / action | threads | model evaluations | samples | iterations | horizon | success "
        "| parameters | training episodes | training frames | training compute |",
        "|---" * 13 + "|",
    ]
    for run in runs:
        summary = _summary(run)
        parameters, spent = summary.get("parameters"), summary.get(COMPUTE_SECONDS) or {}
        row = [run.name, summary["agent"], f"{summary['plan_seconds']:.3g}", summary.get("threads", "")]
        row += [f"{summary['model_evaluations']:.0f}"]
        row += [summary.get(name, "") for name in ("samples", "iterations", "horizon")]
        row += [f"{100 * summary['n_success'] / max(1, summary['n_episodes']):.0f} %"]
        row += ["" if parameters is None else f"{parameters / 1e6:.1f} M"]
        row += [f"{summary[name]:,}" if name in summary else "" for name in ("episodes", "frames")]
        row += [" + ".join(f"{seconds / 3600:.1f} {unit}-hours" for unit, seconds in spent.items())]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return [*lines, ""]


def _more(more: int | None) -> str:
    """Number of further episodes, in words."""
    if more is None:
        return "no difference so far"
    if more == 0:
        return f"none: p < {SIGNIFICANCE}"
    if more >= MOST:
        return f"more than {MOST:,}"
    return f"about {float(f'{more:.2g}'):,.0f}"
