"""Where runs differ: deployments on several rungs, or evaluations of several agents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from agents.agent import LEARNED, PLANNING
from agents.paired import Paired
from agents.run_folder import RunFolder, differences, read_runs, refuse
from agents.rung import Against, Motion, measure_against, measure_motion, read_episodes
from agents.rung_plot import draw_first_pictures, draw_trajectories
from agents.scoring import wilson_interval
from data.files import write_image, write_json, write_text
from data.output import claimed
from data.provenance import provenance
from envs.errors import UserError

CONFIG_FILE, JSON_FILE, REPORT_FILE = "compare_config.json", "compare.json", "compare.md"
TRAJECTORIES_FILE, PICTURES_FILE = "trajectories.png", "first_pictures.png"
# What makes runs incomparable, and what differs on purpose or is told by a checksum.
DEPLOY_SAME = ("agent", "planner", "task", "checkpoint_crc32", "goals_crc32", "period", "gripper")
DEPLOY_FREE = ("backend", "imperfections", "checkpoint", "goals", "episodes")
EVAL_SAME = ("goals", "gripper")  # a seed's start and goals are the same under every look
EVAL_FREE = (
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


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        text: the report, Markdown.
        numbers: the same, JSON-compatible.
    """

    text: str
    numbers: dict[str, Any]


def compare(out: Path, folders: list[Path]) -> Comparison:
    """Read runs, compare all with the first, and write the report, its numbers and pictures into ``out``.

    Args:
        out: a new folder, or that of an earlier comparison of the same ones.
        folders: two or more, all of ``deploy`` or all of ``eval``.

    Raises:
        UserError: a folder holds no results, or the runs are not comparable; what differs is named.
    """
    runs = read_runs(folders)
    refuse(runs, DEPLOY_SAME if runs[0].kind == "deploy" else EVAL_SAME)
    with claimed(out, CONFIG_FILE, {"folders": [str(run.folder.resolve()) for run in runs]}):
        made = _compare_rungs(out, runs) if runs[0].kind == "deploy" else _compare_cells(runs)
        write_json(out / JSON_FILE, {**made.numbers, "provenance": provenance()})
        write_text(out / REPORT_FILE, made.text)
    return made


def _compare_rungs(out: Path, runs: list[RunFolder]) -> Comparison:
    rungs = {run.name: read_episodes(run) for run in runs}
    first = rungs[runs[0].name]
    rows = [
        (run, measure_motion(rungs[run.name]), measure_against(first, rungs[run.name]) if run is not runs[0] else None)
        for run in runs
    ]
    warnings = _warnings(runs, DEPLOY_FREE)
    text = "\n".join(
        [
            f"# {', '.join(run.name for run in runs)}\n",
            f"{runs[0].config['agent']}, {runs[0].config['task']}, steps of {runs[0].config['period']} s. "
            f"Everything is compared with {runs[0].name}.\n",
            *warnings,
            "| rung | backend | success | 95 % interval | judged by | error left, median | one step | planning "
            "| settling error | turn | carried out | first picture | hands part |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
            *(_rung_row(*row) for row in rows),
            "",
            "- settling error, turn: from where the arm was sent to where it was measured one step later, medians",
            "- carried out: how far the arm moved along what was asked of it, as a share of that",
            f"- first picture: mean absolute difference from {runs[0].name}'s, grey levels of 255, over a video's losses",
            "- hands part: first step at which they are more than 1 cm apart, median over the episodes in which they "
            "part, and how many those are if not all\n",
            f"![Hands]({TRAJECTORIES_FILE})\n",
            f"![First pictures]({PICTURES_FILE})\n",
        ]
    )
    write_image(out / TRAJECTORIES_FILE, draw_trajectories(rungs))
    write_image(out / PICTURES_FILE, draw_first_pictures(rungs))
    numbers = [
        {
            "name": run.name,
            "folder": str(run.folder),
            "backend": run.config.get("backend"),
            **{key: value for key, value in run.cells[0].items() if key != "episodes"},
            **asdict(motion),
            "against_first": None if against is None else asdict(against),
        }
        for run, motion, against in rows
    ]
    return Comparison(text, {"compare": "deploy", "rungs": numbers, "warnings": warnings})


def _rung_row(run: RunFolder, motion: Motion, against: Against | None) -> str:
    cell = run.cells[0]
    low, high = cell["pc_success_ci95"]
    left = cell["final_error_m_median"]
    picture, parted = "", ""
    if against is not None:
        picture = "another size" if against.picture is None else f"{against.picture:.2f}"
        parted = _parted(against)
    return (
        f"| {run.name} | {run.config.get('backend')} | {cell['n_success']}/{cell['n_episodes']} | {low:.0f}–{high:.0f} % "
        f"| {cell['judged_by']} | {'unknown' if left is None else f'{100 * left:.1f} cm'} | {motion.step_seconds:.2f} s "
        f"| {cell['plan_seconds_median']:.2f} s | {1000 * motion.settling_m:.1f} mm | {motion.settling_rad:.3f} rad "
        f"| {100 * motion.carried_out:.0f} % | {picture} | {parted} |"
    )


def _parted(against: Against) -> str:
    if against.parted_at is None:
        return "never"
    some = "" if against.parted == against.episodes else f", {against.parted} of {against.episodes}"
    return f"step {against.parted_at:g}{some}"


def _compare_cells(runs: list[RunFolder]) -> Comparison:
    first, *others = runs
    lines = [f"# {', '.join(run.name for run in runs)}\n", *(warnings := _warnings(runs, EVAL_FREE))]
    lines += [*_overview(runs), *_methods(runs)]
    numbers = []
    for other in others:
        lines += [
            f"## {first.name} ({_agent(first)}) and {other.name} ({_agent(other)})\n",
            f"| task | object | {first.name} | {other.name} | shared episodes | both | only {first.name} "
            f"| only {other.name} | neither | p (McNemar) | more episodes to tell |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        pairs = _pairs(first, other)
        if not pairs:
            raise UserError(f"{first.folder} and {other.folder} have no task and object in common.")
        for a, b in pairs:
            paired = Paired.of(_successes(a), _successes(b))
            more = paired.more_to_tell() if paired.n else None
            told = "0: they differ" if more == 0 else "they are even" if more is None else f"about {more}"
            lines.append(
                f"| {a['task']} | {a['object']} | {_rate(a)} | {_rate(b)} | {paired.n} | {paired.both} | {paired.only_first} "
                f"| {paired.only_second} | {paired.neither} | {paired.p_value:.3g} | {told if paired.n else 'none shared'} |"
            )
            found = {"p_value": paired.p_value, "more_to_tell": more, **asdict(paired)}
            names = {"first": first.name, "second": other.name, "task": a["task"], "object": a["object"]}
            numbers.append({**names, **found})
        lines.append("")
    lines.append(
        "More episodes: to tell the two apart at 5 % in 80 % of all cases, if their rates stay as they are here.\n"
    )
    return Comparison("\n".join(lines), {"compare": "eval", "cells": numbers, "warnings": warnings})


def _overview(runs: list[RunFolder]) -> list[str]:
    """All runs in one table: a row for each, a column for each task and object, and what all their episodes together say."""
    first = runs[0]
    columns = list(dict.fromkeys((cell["task"], cell["object"]) for run in runs for cell in run.cells))
    lines = [
        f"| run | {' | '.join(f'{task} {name}' for task, name in columns)} | all | against {first.name} | p (McNemar) |",
        "|---" * (len(columns) + 4) + "|",
    ]
    for run in runs:
        cells = _scored(run)
        counts = [(cell["n_success"], cell["n_episodes"]) for cell in cells.values()]
        rates = [f"{cells[c]['n_success']}/{cells[c]['n_episodes']}" if c in cells else "" for c in columns]
        whole = _whole(counts)
        paired, against, p_value = _all_episodes(first, run), "", ""
        if run is not first and paired.n:
            difference = 100 * (paired.only_second - paired.only_first) / paired.n
            against, p_value = f"{difference:+.1f} points over {paired.n}", f"{paired.p_value:.3g}"
        lines.append(f"| {run.name} | {' | '.join(rates)} | {whole} | {against} | {p_value} |")
    return [*lines, *_baseline_rows(first, columns), ""]


def _baseline_rows(run: RunFolder, columns: list[tuple[str, str]]) -> list[str]:
    """The ceiling and the floors that were scored beside a run's own agent, under the table of all runs."""
    names = dict.fromkeys(cell["agent"] for cell in run.cells if cell["agent"] != run.config["agent"])
    rows = []
    for name in names:
        counts = {
            (cell["task"], cell["object"]): (cell["n_success"], cell["n_episodes"])
            for cell in run.cells
            if cell["agent"] == name
        }
        rates = ["{}/{}".format(*counts[column]) if column in counts else "" for column in columns]
        rows.append(f"| {name}, beside {run.name} | {' | '.join(rates)} | {_whole(counts.values())} | | |")
    return rows


def _whole(counts: Iterable[tuple[int, int]]) -> str:
    """Successes of all cells together, with their interval."""
    successes, episodes = (sum(numbers) for numbers in zip(*counts, strict=True))
    low, high = wilson_interval(successes, episodes)
    return f"{successes}/{episodes} ({100 * low:.0f}–{100 * high:.0f} %)"


def _methods(runs: list[RunFolder]) -> list[str]:
    """How each run's agent decides, how long that takes, and what it had learned from; what isn't known is left empty."""
    lines = [
        "| run | agent | s / action | model evaluations | samples | rounds | horizon | parameters | episodes learned from "
        "| frames | training, hours |",
        "|---" * 11 + "|",
    ]
    for run in runs:
        cells, method = list(_scored(run).values()), run.method
        seconds = sum(cell["plan_seconds_median"] * cell["n_episodes"] for cell in cells)
        seconds /= max(1, sum(cell["n_episodes"] for cell in cells))
        evaluations = max((cell["model_evaluations_per_action"] for cell in cells), default=0)
        parameters, hours = method.get("parameters"), method.get("training_seconds")
        row = [run.name, _agent(run), f"{seconds:.3g}", f"{evaluations:.0f}"]
        row += [method.get(name, "") for name in ("samples", "iterations", "horizon")]
        row += ["" if parameters is None else f"{parameters / 1e6:.1f} M"]
        row += [f"{method[name]:,}" if name in method else "" for name in ("episodes", "frames")]
        lines.append(f"| {' | '.join(map(str, [*row, '' if hours is None else f'{hours / 3600:.1f}']))} |")
    return [*lines, ""]


def _all_episodes(first: RunFolder, other: RunFolder) -> Paired:
    """The shared episodes of all tasks and objects together."""
    parts = [Paired.of(_successes(a), _successes(b)) for a, b in _pairs(first, other)]
    return Paired(*(sum(getattr(part, field.name) for part in parts) for field in fields(Paired)))


def _warnings(runs: list[RunFolder], free: tuple[str, ...]) -> list[str]:
    """What else isn't the same: a line for each."""
    lines = [f"- **{name}** differs: {values}" for name, values in differences(runs, free).items()]
    for name, values in (
        ("judge", [run.cells[0].get("judged_by", "task") for run in runs]),
        ("code", [run.provenance.get("git_commit") for run in runs]),
        ("versions", [run.provenance.get("versions") for run in runs]),
    ):
        if any(value != values[0] for value in values):
            told = ", ".join(f"{run.name} {value}" for run, value in zip(runs, values, strict=True))
            lines.append(f"- **{name}** differs: {told}")
    lines += [f"- **{run.name}** did not come to its end" for run in runs if not run.complete]
    return [*lines, ""] if lines else []


def _pairs(first: RunFolder, other: RunFolder) -> list[tuple[dict, dict]]:
    """Cells of the agents that were scored, on the same task and object; baselines are left out."""
    ours, theirs = _scored(first), _scored(other)
    return [(cell, theirs[key]) for key, cell in ours.items() if key in theirs]


def _scored(run: RunFolder) -> dict[tuple[str, str], dict]:
    """Cells of the agent that was scored, by task and object."""
    return {(cell["task"], cell["object"]): cell for cell in run.cells if cell["agent"] == run.config["agent"]}


def _agent(run: RunFolder) -> str:
    agent = run.config["agent"]
    if agent not in LEARNED:
        return agent
    planner = run.config.get("planner", "default") if agent in PLANNING else "default"
    return f"{agent} with {run.config['checkpoint']}{'' if planner == 'default' else f', {planner} planner'}"


def _successes(cell: dict) -> dict[int, bool]:
    return {episode["seed"]: bool(episode["success"]) for episode in cell["episodes"]}


def _rate(cell: dict) -> str:
    low, high = cell["pc_success_ci95"]
    return f"{cell['n_success']}/{cell['n_episodes']} ({low:.0f}–{high:.0f} %)"
