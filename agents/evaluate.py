"""Score agents on the same held-out episodes."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agents.agent import AGENTS, Agent, load_agent
from agents.scoring import Cell, EpisodeScore, markdown_table
from data.provenance import provenance, write_json, write_text
from data.video import write_video
from envs.errors import UserError, unknown_name
from envs.franka_env import FrankaEnv
from envs.pose import POSITION
from envs.scene.names import OBJECTS
from envs.seeds import evaluation_seed
from envs.tasks import TASKS

INFO_FILE = "eval_info.json"
BASELINES = ("expert", "random", "still")  # in every table: the ceiling and the two floors


@dataclass(frozen=True)
class EvaluationConfig:
    """What to score.

    Attributes:
        agent: see :data:`agents.AGENTS`; the baselines are always scored beside it, on the same seeds.
        checkpoint: for ``mpc``.
        tasks, objects: one cell for each pair.
        episodes: per cell.
        seed: of the first episode; the others follow. Below 2³¹, where no training data come from.
        goals: ``paper`` (one goal image, three for pick and place) or ``dense`` (more sub-goal images).
        randomize: strength of domain randomisation.
        size: of the camera's images in pixels.
        gripper: ``robotiq`` or ``panda_hand``.
        videos: most videos per cell, failures first.
    """

    agent: str = "mpc"
    checkpoint: str = "tiny"
    tasks: tuple[str, ...] = tuple(TASKS)
    objects: tuple[str, ...] = OBJECTS
    episodes: int = 20
    seed: int = 0
    goals: str = "paper"
    randomize: float = 0.0
    size: int = 256
    gripper: str = "robotiq"
    videos: int = 4

    def __post_init__(self) -> None:
        checks = (
            [(self.agent, "agent", AGENTS)]
            + [(t, "task", TASKS) for t in self.tasks]
            + [(o, "object", OBJECTS) for o in self.objects]
        )
        for name, kind, valid in checks:
            if name not in valid:
                raise unknown_name(kind, name, valid)
        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        evaluation_seed(self.seed, self.episodes)


def evaluate(out: Path, config: EvaluationConfig, on_episode: Callable[[str, str, str, EpisodeScore], None]) -> dict:
    """Run everything and write ``eval_info.json``, ``episodes.csv``, ``table.md`` and ``videos/`` into ``out``.

    What is finished is written after every cell, so a stopped evaluation keeps it.

    Args:
        out: a new or empty folder.
        config: what to score.
        on_episode: called with (agent, task, object, score) after each episode.

    Returns:
        The contents of ``eval_info.json``.

    Raises:
        UserError: the checkpoint doesn't fit the environment, or saw an evaluation seed in training.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty. Give a new folder as --out: results are never mixed.")
    fitted = load_agent(config.agent, config.checkpoint, config.seed) if config.agent == "mpc" else None
    started = time.time()
    info = {"config": asdict(config), "cells": [], "complete": False, "provenance": provenance()}
    for task in config.tasks:
        for object_name in config.objects:
            env = FrankaEnv(task, object_name, config.gripper, config.size, config.randomize, goals=config.goals)
            try:
                if fitted is not None:
                    check_fit(fitted, env, config)
                seeds, excluded = _usable_seeds(env, config)
                for name in dict.fromkeys((config.agent, *BASELINES)):
                    agent = (
                        fitted
                        if name == "mpc"
                        else load_agent(
                            name, seed=config.seed, limits=env.arm.limits, env=env if name == "expert" else None
                        )
                    )
                    videos = out / "videos" if name == config.agent and config.videos else None
                    cell = _score_cell(name, agent, env, seeds, config, videos, on_episode)
                    info["cells"].append({**cell.to_dict(), "excluded_seeds": excluded})
                    info["seconds"] = time.time() - started
                    _write(out, info)
            finally:
                env.close()
    info["complete"] = True
    _write(out, info)
    return info


def check_fit(agent: Agent, env: FrankaEnv, config: EvaluationConfig) -> None:
    """Refuse a world model whose conventions or training seeds clash with the evaluation.

    Raises:
        UserError: it names both sides.
    """
    card = agent.model.card
    if card.period is None or abs(card.period - env.arm.period) > 0.01 * env.arm.period:
        raise UserError(
            f"Checkpoint {card.name!r} was trained for steps of {card.period} s; the environment's are {env.arm.period} s."
        )
    seen = card.training_seeds() & {evaluation_seed(config.seed, i) for i in range(config.episodes * 2)}
    if seen:
        raise UserError(
            f"Checkpoint {card.name!r} saw evaluation seeds in training, for example {min(seen)}; choose another --seed."
        )


def _usable_seeds(env: FrankaEnv, config: EvaluationConfig) -> tuple[list[int], list[int]]:
    """The first seeds whose start doesn't satisfy the goal already, and those left out."""
    seeds, excluded, index = [], [], 0
    while len(seeds) < config.episodes:
        seed = evaluation_seed(config.seed, index)
        index += 1
        _, info = env.reset(seed=seed)
        (excluded if info["is_success"] else seeds).append(seed)
        if len(excluded) > 10 * config.episodes:
            raise UserError("Nearly every start satisfies the goal already: nothing is left to score.")
    return seeds, excluded


def _score_cell(
    name: str,
    agent: Agent,
    env: FrankaEnv,
    seeds: list[int],
    config: EvaluationConfig,
    videos: Path | None,
    on_episode: Callable[[str, str, str, EpisodeScore], None],
) -> Cell:
    task, object_name = env.task.name, env.simulation.object_name
    scores = []
    kept: dict[bool, int] = {True: 0, False: 0}  # videos so far, by success
    for seed in seeds:
        score, frames = run_episode(agent, env, seed)
        scores.append(score)
        # Half of the places are for failures, which tell more; successes fill what is left.
        if videos is not None and kept[score.success] < (config.videos + 1) // 2 + (
            config.videos // 2 if not score.success else 0
        ):
            videos.mkdir(parents=True, exist_ok=True)
            outcome = "1_success" if score.success else "0_failure"
            write_video(
                videos / f"{outcome}_{task}_{object_name}_{name}_seed{seed}.mp4",
                frames,
                rate=1 / env.arm.period,
                quality=20,
            )
            kept[score.success] += 1
        on_episode(name, task, object_name, score)
    return Cell(name, task, object_name, tuple(scores))


def run_episode(agent: Agent, env: FrankaEnv, seed: int) -> tuple[EpisodeScore, np.ndarray]:
    """One episode over the task's whole budget.

    Returns:
        Its score, and frames for people, uint8 [steps + 1, H, 2 W, 3]: what was seen, beside the goal image.
    """
    _, info = env.reset(seed=seed)
    goals = info["goals"]
    agent.begin(goals)
    deadlines = np.cumsum([goal.steps for goal in goals])
    frames = [np.concatenate([env.observation.rgb, goals[0].rgb], 1)]
    seconds, evaluations, first = [], [], None
    for step in range(env.task.budget):
        before = time.perf_counter()
        action = agent.act(env.observation)
        seconds.append(time.perf_counter() - before)
        evaluations.append(agent.model_evaluations)
        _, _, _, _, info = env.step(action)
        if info["is_success"] and first is None:
            first = step + 1
        goal = goals[min(int(np.searchsorted(deadlines, step, side="right")), len(goals) - 1)]
        frames.append(np.concatenate([env.observation.rgb, goal.rgb], 1))
    away = env.observation.state[POSITION] - goals[-1].state[POSITION]
    score = EpisodeScore(
        seed=seed,
        success=bool(info["is_success"]),
        success_ever=first is not None,
        steps=first or env.task.budget,
        final_error_m=float(info["error"]),
        plan_seconds=float(np.median(seconds)),
        model_evaluations=float(np.median(evaluations)),
        hand_error_m=float(np.linalg.norm(away)),
    )
    return score, np.stack(frames)


def _write(out: Path, info: dict) -> None:
    write_json(out / INFO_FILE, info)
    write_text(out / "table.md", markdown_table(info["cells"]))
    text = io.StringIO()
    writer = csv.writer(text)
    header = ["agent", "task", "object", *info["cells"][0]["episodes"][0]]
    writer.writerow(header)
    for cell in info["cells"]:
        writer.writerows(
            [cell["agent"], cell["task"], cell["object"], *episode.values()] for episode in cell["episodes"]
        )
    write_text(out / "episodes.csv", text.getvalue())
