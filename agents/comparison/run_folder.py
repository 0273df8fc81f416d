"""Reading the folders of deployments and evaluations."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjepa_sim.agents.deployment.deploy import CONFIG_FILE as DEPLOY_FILE
from vjepa_sim.agents.evaluation.evaluate import CONFIG_FILE as EVAL_FILE
from vjepa_sim.agents.evaluation.report import INFO_FILE, agent_in_words
from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.data.files import lacking, read_json_object
from vjepa_sim.data.output import leaves
from vjepa_sim.envs.errors import UserError

# Required entries of the files, with their types.
INFO = {"config": dict, "cells": list, "complete": bool, "method": dict, "provenance": dict}
CELL = {"agent": str, "task": str, "object": str, "n_success": int, "n_episodes": int}
CELL |= {"plan_seconds_median": int | float, "model_evaluations_per_action": int | float, "episodes": list}
EPISODE = {"seed": int, "success": bool}
CONDITION = {
    "randomize": int | float,
    "vary": list,
    "azimuth": int | float | None,
}  # missing in early evaluations
KINDS = {DEPLOY_FILE: "deploy", EVAL_FILE: "eval"}
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A deployment or an evaluation, read from its ``eval_info.json``.

    Attributes:
        name: name in reports, unique within a comparison.
        folder: path of the folder.
        kind: ``deploy`` or ``eval``.
        config: settings.
        cells: results by agent, task and object, see :meth:`.ConditionResult.to_dict`.
        method: training and search of an evaluation's agent, see :func:`.describe`; may be empty.
        complete: whether all episodes were run.
        provenance: versions, commit and time.
    """

    name: str
    folder: Path
    kind: str
    config: dict[str, Any]
    cells: list[dict[str, Any]]
    method: dict[str, Any]
    complete: bool
    provenance: dict[str, Any]

    @property
    def agent(self) -> str:
        """The agent with its checkpoint and planner, in words."""
        return agent_in_words(self.config)

    def scored(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Results of the evaluated agent, by task and object, without those of reference policies."""
        return {(cell["task"], cell["object"]): cell for cell in self.cells if cell["agent"] == self.config["agent"]}

    def rates(self) -> dict[tuple[str, str], float]:
        """Success rates of the evaluated agent, 0 to 1, by task and object."""
        return {key: cell["n_success"] / cell["n_episodes"] for key, cell in self.scored().items()}

    def counts(self) -> tuple[int, int]:
        """Numbers of successes and of episodes of the evaluated agent, over all tasks and objects."""
        cells = self.scored().values()
        return sum(cell["n_success"] for cell in cells), sum(cell["n_episodes"] for cell in cells)

    def successes(self) -> dict[tuple[str, str, int], bool]:
        """Success of the evaluated agent's episodes, by task, object and seed."""
        return {(*key, seed): won for key, cell in self.scored().items() for seed, won in successes_of(cell).items()}


def successes_of(cell: dict[str, Any]) -> dict[int, bool]:
    """Success of a result's episodes, by seed."""
    return {episode["seed"]: bool(episode["success"]) for episode in cell["episodes"]}


def read_runs(folders: list[Path]) -> list[RunFolder]:
    """Read the folders of a comparison.

    Args:
        folders: folders of one kind; one that is given twice, as by ``FIRST ALL/*``, counts once.

    Raises:
        UserError: there are fewer than two folders, one holds no results, or they are of different kinds.
    """
    once: dict[Path, Path] = {}
    for folder in folders:
        once.setdefault(Path(folder).resolve(), Path(folder))
    given, folders = folders, list(once.values())
    if len(folders) < 2:
        given = "the same one twice" if len(given) > 1 else f"{len(given)}"
        raise UserError(f"A comparison needs two folders or more, and {given} was given: vjepa-sim compare A B.")
    runs = [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    if len({run.kind for run in runs}) > 1:
        kinds = ", ".join(f"{run.folder} is of {run.kind}" for run in runs)
        raise UserError(f"Deployments and evaluations can't be compared with each other: {kinds}.")
    return runs


def differences(runs: list[RunFolder], left_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Settings that differ between runs.

    Args:
        runs: runs to compare.
        left_out: settings to leave out.

    Returns:
        The value of each run in words, by setting.
    """
    found_in = []
    for run in runs:
        idle = () if run.config.get("randomize") else ("vary",)
        found_in.append(leaves({key: value for key, value in run.config.items() if key not in (*left_out, *idle)}))
    found = {}
    for name in dict.fromkeys(name for each in found_in for name in each):
        values = [each.get(name, UNKNOWN) for each in found_in]
        if any(value != values[0] for value in values):
            found[name] = ", ".join(f"{run.name} {value}" for run, value in zip(runs, values, strict=True))
    return found


def refuse(runs: list[RunFolder], needed: tuple[str, ...]) -> None:
    """Refuse runs that can't be compared.

    Args:
        runs: runs to compare.
        needed: settings that must be the same.

    Raises:
        UserError: one of the settings differs; the message names it.
    """
    found = differences(runs, tuple(key for run in runs for key in run.config if key not in needed))
    if found:
        named = "; ".join(f"{name}: {values}" for name, values in found.items())
        raise UserError(f"These runs can't be compared, as they differ in {named}.")


def _read(folder: Path, name: str) -> RunFolder:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Give folders of `vjepa-sim eval` or `deploy`.")
    kinds = [kind for file, kind in KINDS.items() if (folder / file).is_file()]
    if not kinds or not (folder / INFO_FILE).is_file():
        missing = INFO_FILE if kinds else " or ".join(KINDS)
        raise UserError(f"{folder} holds no results: expected {missing}, as `vjepa-sim eval` and `deploy` write them.")
    info: dict[str, Any] = {"method": {}, "provenance": {}} | read_json_object(folder / INFO_FILE)
    missing = _lacking(info)
    if missing:
        raise UserError(f"{folder / INFO_FILE} is damaged: it lacks {', '.join(missing)}.")
    cells = info["cells"]
    agent = info["config"]["agent"]
    contradiction = _contradiction(cells)
    if contradiction:
        raise UserError(f"{folder / INFO_FILE} is damaged: {contradiction}.")
    if not any(cell["agent"] == agent for cell in cells) or not all(cell["episodes"] for cell in cells):
        raise UserError(f"{folder}: it holds no episode of its agent {agent!r}.")
    return RunFolder(
        name=name,
        folder=folder,
        kind=kinds[0],
        config=info["config"],
        cells=cells,
        method=info["method"],
        complete=info["complete"],
        provenance=info["provenance"],
    )


def _learned(agent: Any) -> bool:
    """Whether an agent has a checkpoint; unknown and so False for an agent of a plugin that is not loaded."""
    spec = AGENTS.get(agent) if isinstance(agent, str) else None
    return spec is not None and spec.learned


def _lacking(info: dict[str, Any]) -> list[str]:
    """Required entries that are missing or of another type."""
    missing = lacking(info, INFO)
    if not missing:
        config = info["config"]
        missing += lacking(config, {"agent": str} | ({"checkpoint": str} if _learned(config.get("agent")) else {}))
        needed = {*config, "vary"} if config.get("randomize") else {*config}
        missing += lacking(config, {name: kind for name, kind in CONDITION.items() if name in needed})
        missing += [name for cell in info["cells"] for name in lacking(cell, CELL)]
    if not missing:
        missing += [name for cell in info["cells"] for each in cell["episodes"] for name in lacking(each, EPISODE)]
    return sorted(set(missing))


def _contradiction(cells: list[dict[str, Any]]) -> str:
    """First count that contradicts its episodes, in words; empty if there is none."""
    for cell in cells:
        wins = successes_of(cell)
        for name, count in (("n_episodes", len(cell["episodes"])), ("n_success", sum(wins.values()))):
            if cell[name] != count:
                return f"{name} of {cell['task']} {cell['object']} is {cell[name]}, but {count} by its episodes"
        if len(wins) < len(cell["episodes"]):
            return f"{cell['task']} {cell['object']} has two episodes with the same seed"
    return ""


def _names(folders: list[Path]) -> list[str]:
    """Names of the folders if they are unique, else their paths below the common parent."""
    paths = [Path(folder).resolve() for folder in folders]
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    together = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(together).as_posix() for path in paths]
