"""Score agents on the same held-out episodes."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from agents.agent import AGENTS, LEARNED, OURS, TRUTH, Agent, checkpoint_of, load_agent
from agents.films import Films, side_by_side
from agents.method import card_of, describe
from agents.planners import check_planner
from agents.scoring import Cell, EpisodeScore, markdown_table
from agents.view import load_view
from data.files import write_json, write_text
from data.output import claimed
from data.provenance import provenance
from envs.errors import UserError, unknown_name
from envs.faults import ArmFault
from envs.franka_env import FrankaEnv
from envs.pose import POSITION
from envs.safety import default_limits
from envs.scene.cameras import left_at
from envs.scene.names import OBJECTS
from envs.seeds import evaluation_seed
from envs.simulation import PERIOD
from envs.tasks import TASKS
from envs.variation import ASPECTS, check_aspects
from vjepa_sim.compute import find_device
from vjepa_sim.world_model import fingerprint

CONFIG_FILE = "eval_config.json"
INFO_FILE = "eval_info.json"
BASELINES = ("expert", "random", "still")  # the ceiling and the two floors


@dataclass(frozen=True)
class EvaluationConfig:
    """What to score.

    Attributes:
        agent: see :data:`agents.AGENTS`.
        baselines: of :data:`BASELINES`, scored beside it on the same seeds; none for a run that stands beside another with
            them in ``vjepa-sim compare``.
        checkpoint: see :func:`agents.agent.checkpoint_of`.
        planner: for ``mpc``, ``cosmos`` and ``oracle``, see :data:`agents.planners.PLANNERS`.
        tasks, objects: one cell for each pair.
        episodes: per cell.
        seed: of the first episode; the others follow. Below 2³¹, where no training data come from.
        goals: ``paper`` (one goal image, three for pick and place) or ``dense`` (more sub-goal images).
        randomize: strength of domain randomisation.
        vary: what is randomised, of :data:`envs.variation.ASPECTS`.
        size: of the camera's images in pixels.
        gripper: ``robotiq`` or ``panda_hand``.
        videos: most videos per cell, failures first.
        device: the planner's, see :func:`vjepa_sim.compute.find_device`.
        azimuth: of the camera in degrees, see :func:`envs.scene.cameras.left_at`; None for the nominal one.
        view: for ``mpc``: a calibration of the camera, see :mod:`agents.view`.
    """

    agent: str = "mpc"
    baselines: tuple[str, ...] = BASELINES
    checkpoint: str | None = None
    planner: str = "default"
    tasks: tuple[str, ...] = tuple(TASKS)
    objects: tuple[str, ...] = OBJECTS
    episodes: int = 20
    seed: int = 0
    goals: str = "paper"
    randomize: float = 0.0
    vary: tuple[str, ...] = tuple(ASPECTS)
    size: int = 256
    gripper: str = "robotiq"
    videos: int = 4
    device: str = "auto"
    azimuth: float | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        checks = (
            [(self.agent, "agent", AGENTS)]
            + [(b, "baseline", BASELINES) for b in self.baselines]
            + [(t, "task", TASKS) for t in self.tasks]
            + [(o, "object", OBJECTS) for o in self.objects]
        )
        check_planner(self.agent, self.planner)
        check_aspects(self.vary)
        for name, kind, valid in checks:
            if name not in valid:
                raise unknown_name(kind, name, valid)
        object.__setattr__(self, "checkpoint", checkpoint_of(self.agent, self.checkpoint))
        if set(self.vary) != set(ASPECTS) and self.randomize == 0:
            raise UserError(
                f"--vary {','.join(self.vary)}: nothing varies with --randomize 0. Give a strength, such as 1."
            )
        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one is needed.")
        if self.videos < 0:
            raise UserError(f"--videos {self.videos}: give 0 or more.")
        evaluation_seed(self.seed, self.episodes)

    @property
    def agents(self) -> list[str]:
        """Everyone who is scored, in the table's order."""
        return list(dict.fromkeys((self.agent, *self.baselines)))


def evaluate(out: Path, config: EvaluationConfig, on_episode: Callable[[str, str, str], None]) -> dict:
    """Run everything and write ``eval_info.json``, ``episodes.csv``, ``table.md`` and ``videos/`` into ``out``.

    What is finished is written after every cell; a stopped evaluation goes on from there.

    Args:
        out: a new folder, or that of a stopped evaluation with the same settings.
        config: what to score.
        on_episode: called with (agent, task, object) for each episode, also for those of an earlier run.

    Returns:
        The contents of ``eval_info.json``.

    Raises:
        UserError: the checkpoint doesn't fit the environment, or saw an evaluation seed in training; or ``out`` holds
            something else.
    """
    settings = asdict(config)
    fitted, method = None, {}
    if config.view is not None and config.agent != "mpc":
        raise UserError(
            f"--view turns what a world model plans; agent {config.agent!r} has none that it was calibrated with."
        )
    if config.agent in LEARNED:
        view = None if config.view is None else load_view(config.view, config.checkpoint)
        limits = default_limits(config.gripper)
        # An oracle's own is made with each environment; what it sees with must fit all the same.
        name = "mpc" if config.agent == "oracle" else config.agent
        fitted = load_agent(name, config.checkpoint, config.seed, limits, view=view, planner=config.planner)
        if config.agent in OURS:
            fitted.model.to(find_device(config.device))
            # The same path may hold another model or view tomorrow.
            settings["checkpoint_crc32"] = fingerprint(config.checkpoint) if view is None else view.checkpoint_crc32
        method = describe(fitted)
        settings["view_angle"] = None if view is None else view.angle
    # Refuses what doesn't fit before anything is written.
    env = make_env(config, config.tasks[0], config.objects[0], fitted)
    settings["period"] = env.arm.period
    env.close()
    with claimed(out, CONFIG_FILE, settings):
        info = {**_resume(out, settings), "method": method}
        for task in config.tasks:
            for object_name in config.objects:
                _score_agents(out, info, config, task, object_name, fitted, on_episode)
        info["complete"] = True
        write_report(out, info)
    return info


def make_env(config: EvaluationConfig, task: str, object_name: str, fitted: Agent | None) -> FrankaEnv:
    """The environment of one cell, with the period of the model that acts in it.

    Raises:
        UserError: the model doesn't fit; it names both sides.
    """
    card = card_of(fitted)
    period = None if card is None else card.period
    env = FrankaEnv(
        task,
        object_name,
        config.gripper,
        config.size,
        config.randomize,
        goals=config.goals,
        period=PERIOD if period is None else round(period, 4),
        viewpoint=None if config.azimuth is None else left_at(config.azimuth),
        vary=config.vary,
    )
    try:
        if card is not None:
            check_fit(fitted, env)
    except UserError:
        env.close()
        raise
    return env


def check_fit(agent: Agent, env: FrankaEnv) -> None:
    """Refuse a world model that was trained for something else.

    Raises:
        UserError: it names both sides.
    """
    agent.model.card.check_fit(env.arm.period, env.camera.size, env.simulation.gripper)


def check_seeds(agent: Agent, seeds: list[int]) -> None:
    """Refuse seeds that a model saw in training.

    Raises:
        UserError: it names one of them.
    """
    card = agent.model.card
    seen = card.training_seeds() & set(seeds)
    if seen:
        raise UserError(
            f"Checkpoint {card.name!r} saw evaluation seeds in training, for example {min(seen)}; choose another --seed."
        )


def _resume(out: Path, settings: dict) -> dict:
    """What an earlier run finished, or an empty report."""
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


def _score_agents(
    out: Path,
    info: dict,
    config: EvaluationConfig,
    task: str,
    object_name: str,
    fitted: Agent | None,
    on_episode: Callable[[str, str, str], None],
) -> None:
    """Score the agent and the baselines on one task with one object, as far as they are not scored yet."""
    done = {cell["agent"] for cell in info["cells"] if (cell["task"], cell["object"]) == (task, object_name)}
    names = config.agents
    for name in names:
        if name in done:
            for _ in range(config.episodes):
                on_episode(name, task, object_name)
    if done == set(names):
        return
    env = make_env(config, task, object_name, fitted)
    try:
        seeds, excluded = usable_seeds(env, config.seed, config.episodes)
        if card_of(fitted) is not None:
            check_seeds(fitted, seeds)
        for name in names:
            if name in done:
                continue
            if name in LEARNED and name not in TRUTH:
                agent = fitted
            else:
                checkpoint, truth = config.checkpoint if name in LEARNED else None, env if name in TRUTH else None
                agent = load_agent(name, checkpoint, config.seed, env.arm.limits, truth, planner=config.planner)
                if name == "oracle":
                    agent.model.to(find_device(config.device))
            films = Films(config.videos if name == config.agent else 0)
            scores = []
            for seed in seeds:
                score, frames = run_episode(agent, env, seed, show_goal_states=name == "expert")
                scores.append(score)
                films.add(score, frames)
                on_episode(name, task, object_name)
            films.write(out / "videos", f"{task}_{object_name}_{name}", rate=1 / env.arm.period)
            told = "truth" if name == "expert" else "image"
            cell = Cell(name, task, object_name, tuple(scores), told).to_dict()
            info["cells"].append({**cell, "excluded_seeds": excluded})
            write_report(out, info)
    finally:
        env.close()


def usable_seeds(env: FrankaEnv, first: int, count: int) -> tuple[list[int], list[int]]:
    """The first ``count`` seeds whose start doesn't satisfy the goal already, and those left out before them."""
    seeds: list[int] = []
    excluded: list[int] = []
    while len(seeds) < count:
        seed = evaluation_seed(first, len(seeds) + len(excluded))
        _, info = env.reset(seed=seed)
        (excluded if info["is_success"] else seeds).append(seed)
        if len(excluded) > 10 * count:
            raise UserError("Nearly every start satisfies the goal already: nothing is left to score.")
    return seeds, excluded


def run_episode(
    agent: Agent, env: FrankaEnv, seed: int, show_goal_states: bool = False
) -> tuple[EpisodeScore, np.ndarray]:
    """One episode over the task's whole budget.

    Args:
        agent: what acts.
        env: where.
        seed: of the episode.
        show_goal_states: whether the agent is told the arm's own state in the goal images; for a reach that is what
            success is judged by.

    Returns:
        Its score, and frames for people, uint8 [steps + 1, H, 2 W, 3]: what was seen, beside the goal image that it was toward.
    """
    _, info = env.reset(seed=seed)
    goals = info["goals"]
    agent.begin(goals if show_goal_states else [goal.image_alone() for goal in goals])
    frames = [side_by_side(env.observation, goals, 0)]
    seconds, evaluations, first, fault = [], [], None, ""
    for step in range(env.task.budget):
        before = time.perf_counter()
        action = agent.act(env.observation)
        seconds.append(time.perf_counter() - before)
        evaluations.append(agent.model_evaluations)
        try:
            _, _, _, _, info = env.step(action)
        except ArmFault as stopped:  # the arm stays where it is, as a real one would
            fault = str(stopped)
            break
        if info["is_success"] and first is None:
            first = step + 1
        frames.append(side_by_side(env.observation, goals, agent.current_goal))
    away = env.observation.state[POSITION] - goals[-1].state[POSITION]
    score = EpisodeScore(
        seed=seed,
        success=bool(info["is_success"]) and not fault,
        success_ever=first is not None,
        steps=first or env.task.budget,
        final_error_m=float(info["error"]),
        plan_seconds=float(np.median(seconds)),
        model_evaluations=float(np.median(evaluations)),
        hand_error_m=float(np.linalg.norm(away)),
        fault=fault,
    )
    return score, np.stack(frames)


def write_report(out: Path, info: dict) -> None:
    """eval_info.json, table.md and episodes.csv, each whole."""
    write_json(out / INFO_FILE, info)
    write_text(out / "table.md", markdown_table(info["cells"]))
    text = io.StringIO()
    writer = csv.writer(text)
    header = ["agent", "task", "object", *(field.name for field in fields(EpisodeScore))]
    writer.writerow(header)
    for cell in info["cells"]:
        writer.writerows(
            [cell["agent"], cell["task"], cell["object"], *episode.values()] for episode in cell["episodes"]
        )
    write_text(out / "episodes.csv", text.getvalue())
