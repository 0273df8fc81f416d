"""Score agents on the same held-out episodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from agents.agent import LEARNED, OURS, TRUTH, Agent, load_agent
from agents.evaluation_config import EvaluationConfig
from agents.evaluation_report import read_begun, read_unfinished, write_begun, write_report
from agents.films import Films, side_by_side
from agents.method import card_of, describe
from agents.scoring import Cell, EpisodeScore
from agents.view import load_view
from data.output import claimed
from envs.errors import UserError
from envs.faults import ArmFault
from envs.franka_env import FrankaEnv
from envs.pose import POSITION
from envs.safety import default_limits
from envs.scene.cameras import left_at
from envs.seeds import evaluation_seed
from envs.simulation import PERIOD
from vjepa_sim.compute import find_device
from vjepa_sim.world_model import fingerprint

CONFIG_FILE = "eval_config.json"


def evaluate(out: Path, config: EvaluationConfig, on_episode: Callable[[str, str, str], None]) -> dict:
    """Run everything and write ``eval_info.json``, ``episodes.csv``, ``table.md`` and ``videos/`` into ``out``.

    Every episode is kept, and reports are written after every cell; a stopped evaluation goes on where it was. Its
    videos show episodes since then.

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
        info = {**read_unfinished(out, settings), "method": method}
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
    """Refuse a model, of the world or of what to do, that was trained for something else.

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
            f"Checkpoint {card.name!r} saw evaluation seeds in training, for example {min(seen)}; choose another "
            "--seed."
        )


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
            agent = fitted if name in LEARNED and name not in TRUTH else _agent_in(env, name, config)
            films = Films(config.videos if name == config.agent else 0)
            # Those that have learned nothing are quick, and random's episodes depend on those before.
            scores = read_begun(out, name, task, object_name) if name in LEARNED else []
            for number, seed in enumerate(seeds):
                if number >= len(scores):
                    score, frames = run_episode(agent, env, seed)
                    scores.append(score)
                    films.add(score, frames)
                    write_begun(out, name, task, object_name, scores)
                on_episode(name, task, object_name)
            films.write(out / "videos", f"{task}_{object_name}_{name}", rate=1 / env.arm.period)
            told = "truth" if name == "expert" else "image"
            cell = Cell(name, task, object_name, tuple(scores), told).to_dict()
            info["cells"].append({**cell, "excluded_seeds": excluded})
            write_report(out, info)
    finally:
        env.close()


def _agent_in(env: FrankaEnv, name: str, config: EvaluationConfig) -> Agent:
    """One that is made anew for each environment: it learned nothing, or knows the environment's truth."""
    checkpoint, truth = config.checkpoint if name in LEARNED else None, env if name in TRUTH else None
    agent = load_agent(name, checkpoint, config.seed, env.arm.limits, truth, planner=config.planner)
    if name in OURS:
        agent.model.to(find_device(config.device))
    return agent


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


def run_episode(agent: Agent, env: FrankaEnv, seed: int) -> tuple[EpisodeScore, np.ndarray]:
    """One episode over the task's whole budget; whoever acts is shown the goals' images and no more of them.

    Args:
        agent: what acts.
        env: where.
        seed: of the episode.

    Returns:
        Its score, and frames for people, uint8 [steps + 1, H, 2 W, 3]: what was seen, beside the goal image that it was
        toward.
    """
    _, info = env.reset(seed=seed)
    goals = info["goals"]
    agent.begin([goal.image_alone() for goal in goals])
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
