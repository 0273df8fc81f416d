"""Files of evaluations and deployments: episodes and tables."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from vjepa_sim.agents.evaluation.statistics import EpisodeScore, markdown_table
from vjepa_sim.agents.registry import AGENTS
from vjepa_sim.data.files import read_json_object, write_json, write_text
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError

INFO_FILE = "eval_info.json"
BEGUN_FILE = "begun_cell.json"  # episodes of an unfinished task and object


def agent_in_words(config: dict[str, Any]) -> str:
    """The agent of an evaluation or deployment with its checkpoint and planner, in words.

    Args:
        config: settings of the run.
    """
    name = config["agent"]
    spec = AGENTS.get(name)  # None for an agent of a plugin that is not loaded
    if config.get("checkpoint") is None:
        return name
    planner = "default" if spec is not None and not spec.planning else config.get("planner", "default")
    return f"{name} with {config['checkpoint']}{'' if planner == 'default' else f', {planner} planner'}"


def read_unfinished(out: Path, settings: dict) -> dict:
    """Read the results of a stopped evaluation.

    Args:
        out: folder of the evaluation.
        settings: settings of the evaluation, for a new report.

    Returns:
        The contents of ``eval_info.json``; without results in a new folder.

    Raises:
        UserError: the evaluation is complete, or its file is damaged.
    """
    path = out / INFO_FILE
    if not path.exists():
        return {"config": settings, "cells": [], "complete": False, "provenance": provenance()}
    try:
        info = json.loads(path.read_text())
        finished = bool(info["complete"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}). Give a new folder as --out.") from error
    if finished:
        raise UserError(f"{out} holds a finished evaluation. Give a new folder as --out: results are never mixed.")
    return info


def read_begun(out: Path, agent: str, task: str, object_name: str) -> list[EpisodeScore]:
    """Read the episodes of an unfinished task and object.

    Args:
        out: folder of the evaluation.
        agent, task, object_name: agent, task and object.

    Returns:
        The episodes; empty if others were unfinished.

    Raises:
        UserError: the file is damaged.
    """
    path = out / BEGUN_FILE
    if not path.exists():
        return []
    begun = read_json_object(path)
    try:
        if begun["cell"] != [agent, task, object_name]:
            return []
        return [EpisodeScore.from_dict(episode) for episode in begun["episodes"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r}). Delete it; its episodes are then run again.") from error


def write_begun(out: Path, *, agent: str, task: str, object_name: str, episodes: list[EpisodeScore]) -> None:
    """Save the episodes of an unfinished task and object.

    Args:
        out: folder of the evaluation.
        agent, task, object_name: agent, task and object.
        episodes: episodes so far.
    """
    begun = {"cell": [agent, task, object_name], "episodes": [episode.to_dict() for episode in episodes]}
    write_json(out / BEGUN_FILE, begun)


def write_report(out: Path, info: dict) -> None:
    """Write ``eval_info.json``, ``table.md`` and ``episodes.csv``, each atomically.

    Args:
        out: folder of the evaluation.
        info: contents of ``eval_info.json``.
    """
    write_json(out / INFO_FILE, info)
    notes = "".join(f"\n{note}\n" for note in info.get("left_out", []))
    write_text(out / "table.md", f"{agent_in_words(info['config'])}\n\n{markdown_table(info['cells'])}{notes}")
    text = io.StringIO()
    writer = csv.writer(text)
    header = ["agent", "task", "object", *(field.name for field in fields(EpisodeScore))]
    writer.writerow(header)
    for cell in info["cells"]:
        writer.writerows(
            [cell["agent"], cell["task"], cell["object"], *episode.values()] for episode in cell["episodes"]
        )
    write_text(out / "episodes.csv", text.getvalue())
    (out / BEGUN_FILE).unlink(missing_ok=True)
