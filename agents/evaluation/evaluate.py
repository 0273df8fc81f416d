"""Evaluation of agents on the same held-out episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.agents.agent import Agent, LearnedAgent, card_of
from vjepa_sim.agents.calibration.calibration import load_view
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.provenance import describe
from vjepa_sim.agents.evaluation.report import read_begun, read_unfinished, write_begun, write_report
from vjepa_sim.agents.evaluation.statistics import ConditionResult, EpisodeScore
from vjepa_sim.agents.evaluation.videos import EpisodeVideos, side_by_side
from vjepa_sim.agents.registry import AGENTS, load_agent
from vjepa_sim.agents.rollout import Step, rollout
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.output import claimed
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.pose import POSITION
from vjepa_sim.envs.safety import default_limits
from vjepa_sim.envs.scene.cameras import left_at
from vjepa_sim.envs.seeds import evaluation_seed
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.simulation import PERIOD
from vjepa_sim.training.distributed import find_device

CONFIG_FILE = "eval_config.json"
DEFAULT_ARM = EvaluationConfig.arm


def evaluate(out: Path, config: EvaluationConfig, on_episode: Callable[[str, str, str], None]) -> dict:
    """Run an evaluation, and write ``eval_info.json``, ``episodes.csv``, ``table.md`` and ``videos/``.

    Results are saved after every episode, and a stopped evaluation is continued. Videos show episodes of the last run.

    Args:
        out: new folder, or that of a stopped evaluation with the same settings.
        config: settings of the evaluation.
        on_episode: called with (agent, task, object) for each episode, including those of an earlier run.

    Returns:
        The contents of ``eval_info.json``.

    Raises:
        UserError: the checkpoint does not fit the environment or was trained on an evaluation seed, or ``out`` holds
            other results.
    """
    settings = asdict(config)
    fitted, method = _fitted(config, settings)
    # Checks that the model fits before anything is written.
    env = make_env(config, *config.pairs[0], fitted)
    settings["period"] = env.arm.period
    env.close()
    with claimed(out, CONFIG_FILE, settings, assumed={"arm": DEFAULT_ARM}):
        info = {**read_unfinished(out, settings), "method": method}
        if config.notes:
            info["left_out"] = config.notes
        for task, object_name in config.pairs:
            _evaluate_condition(out, info, config, task, object_name, fitted, on_episode)
        info["complete"] = True
        write_report(out, info)
    return info


def _fitted(config: EvaluationConfig, settings: dict[str, Any]) -> tuple[Agent | None, dict]:
    """The evaluated agent and its method, if it has a checkpoint.

    A privileged agent is made anew for each environment; the one returned is only to check that its model fits.
    """
    spec = AGENTS[config.agent]
    if not spec.learned or config.checkpoint is None:
        return None, {}
    view = None if config.view is None else load_view(config.view, config.checkpoint)
    env = make_env(config, *config.pairs[0], None) if spec.privileged else None
    try:
        fitted = load_agent(
            config.agent,
            config.checkpoint,
            seed=config.seed,
            limits=default_limits(config.arm, config.gripper),
            planner=config.planner,
            view=view,
            env=env,
        )
    finally:
        if env is not None:
            env.close()
    if spec.ours:
        _move(fitted, config.device)
        # The checkpoint or the calibration at a path may be replaced.
        settings["checkpoint_crc32"] = fingerprint(config.checkpoint) if view is None else view.checkpoint_crc32
    settings["view_angle"] = None if view is None else view.angle
    return fitted, describe(fitted)


def make_env(config: EvaluationConfig, task: str, object_name: str, fitted: Agent | None) -> SimEnv:
    """The environment of one task and object, with the period of the agent's model.

    Args:
        config: settings of the evaluation.
        task: name of the task.
        object_name: name of the object.
        fitted: agent whose model must fit; None for one without a model.

    Raises:
        UserError: the model does not fit the environment.
    """
    card = card_of(fitted)
    period = None if card is None else card.period
    env = SimEnv(
        task,
        object_name,
        arm=config.arm,
        gripper=config.gripper,
        size=config.size,
        randomize=config.randomize,
        vary=config.vary,
        goals=config.goals,
        period=PERIOD if period is None else round(period, 4),
        viewpoint=None if config.azimuth is None else left_at(config.azimuth),
    )
    try:
        if card is not None:
            card.check_fit(env.arm.period, env.renderer.size, arm=env.arm_name, gripper=env.gripper)
    except UserError:
        env.close()
        raise
    return env


def check_seeds(agent: Agent, seeds: list[int]) -> None:
    """Refuse an agent whose model was trained on an evaluation seed.

    Raises:
        UserError: a seed is among the training data; the message names one.
    """
    card = card_of(agent)
    seen = set() if card is None else card.training_seeds() & set(seeds)
    if card is not None and seen:
        raise UserError(
            f"Checkpoint {card.name!r} was trained on evaluation seeds, for example {min(seen)}; choose another --seed."
        )


def _evaluate_condition(
    out: Path,
    info: dict,
    config: EvaluationConfig,
    task: str,
    object_name: str,
    fitted: Agent | None,
    on_episode: Callable[[str, str, str], None],
) -> None:
    """Evaluate all agents on one task with one object, continuing earlier results."""
    done = {cell["agent"] for cell in info["cells"] if (cell["task"], cell["object"]) == (task, object_name)}
    names = config.agents_for(task)
    for name in names:
        if name in done:
            for _ in range(config.episodes):
                on_episode(name, task, object_name)
    if done == set(names):
        return
    env = make_env(config, task, object_name, fitted)
    try:
        seeds, excluded = usable_seeds(env, config.seed, config.episodes)
        if fitted is not None:
            check_seeds(fitted, seeds)
        for name in names:
            if name in done:
                continue
            spec = AGENTS[name]
            shared = fitted if spec.learned and not spec.privileged else None
            agent = shared or _agent_in(env, name, config)
            videos = EpisodeVideos(config.videos if name == config.agent else 0)
            # Agents without a checkpoint are fast, and episodes of random depend on the earlier ones.
            scores = read_begun(out, name, task, object_name) if spec.learned else []
            for number, seed in enumerate(seeds):
                if number >= len(scores):
                    score, frames = run_episode(agent, env, seed)
                    scores.append(score)
                    videos.add(score, frames)
                    write_begun(out, agent=name, task=task, object_name=object_name, episodes=scores)
                on_episode(name, task, object_name)
            videos.write(out / "videos", f"{task}_{object_name}_{name}", rate=1 / env.arm.period)
            result = ConditionResult(
                agent=name,
                task=task,
                object=object_name,
                episodes=tuple(scores),
                privileged=spec.privileged and not spec.learned,
            )
            info["cells"].append({**result.to_dict(), "excluded_seeds": excluded})
            write_report(out, info)
    finally:
        env.close()


def _agent_in(env: SimEnv, name: str, config: EvaluationConfig) -> Agent:
    """Make an agent for an environment: a privileged one, or one without a checkpoint."""
    spec = AGENTS[name]
    agent = load_agent(
        name,
        config.checkpoint if spec.learned else None,
        seed=config.seed,
        limits=env.arm.limits,
        env=env if spec.privileged else None,
        planner=config.planner if spec.planning else EvaluationConfig.planner,
    )
    if spec.ours:
        _move(agent, config.device)
    return agent


def _move(agent: Agent, device: str) -> None:
    """Move the agent's model to a device."""
    if isinstance(agent, LearnedAgent):
        agent.model.to(find_device(device))


def usable_seeds(env: SimEnv, first: int, count: int) -> tuple[list[int], list[int]]:
    """Choose seeds whose start does not satisfy the goal already.

    Args:
        env: environment.
        first: first seed.
        count: number of seeds.

    Returns:
        The chosen seeds, and the excluded ones between them.

    Raises:
        UserError: nearly every start satisfies the goal.
    """
    seeds: list[int] = []
    excluded: list[int] = []
    while len(seeds) < count:
        seed = evaluation_seed(first, len(seeds) + len(excluded))
        _, info = env.reset(seed=seed)
        (excluded if info["is_success"] else seeds).append(seed)
        if len(excluded) > 10 * count:
            raise UserError("Nearly every start satisfies the goal already, so there is nothing to evaluate.")
    return seeds, excluded


def run_episode(agent: Agent, env: SimEnv, seed: int) -> tuple[EpisodeScore, np.ndarray]:
    """Run one episode over the whole budget.

    Args:
        agent: agent.
        env: environment.
        seed: random seed of the episode.

    Returns:
        The result, and a video, uint8 [steps + 1, H, 2 W, 3], of the camera's images beside the current goal image.
    """
    _, info = env.reset(seed=seed)
    goals = info["goals"]
    frames = [side_by_side(env.observation, goals, 0)]
    steps: list[Step] = []
    evaluations: list[int] = []

    def on_step(step: Step) -> None:
        steps.append(step)
        evaluations.append(agent.model_evaluations)
        frames.append(side_by_side(env.observation, goals, agent.current_goal))

    fault = ""
    try:
        rollout(env, agent, on_step)
    except ArmFault as stopped:  # the arm stays where it stopped, as a real one
        fault = str(stopped)
    last = steps[-1].info if steps else info
    first = next((step.number for step in steps if step.info["is_success"]), None)
    away = env.observation.state[POSITION] - goals[-1].state[POSITION]
    score = EpisodeScore(
        seed=seed,
        success=bool(last["is_success"]) and not fault,
        success_ever=first is not None,
        steps=first or env.budget,
        final_error_m=float(last["error"]),
        plan_seconds=float(np.median([step.seconds for step in steps])) if steps else 0.0,
        model_evaluations=float(np.median(evaluations)) if steps else 0.0,
        hand_error_m=float(np.linalg.norm(away)),
        fault=fault,
    )
    return score, np.stack(frames)
