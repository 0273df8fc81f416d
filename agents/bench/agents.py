"""Decision time and model evaluations of agents that were evaluated, in turn on the same starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vjepa_sim.agents.agent import Agent, LearnedAgent
from vjepa_sim.agents.comparison.run_folder import RunFolder, read_runs, refuse
from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.registry import AGENTS, load_agent
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.files import lacking
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.training.distributed import find_device

STARTS = 2  # per task
DEFAULT_ARM = EvaluationConfig.arm
# Settings that all evaluations must share to be timed on the same starts, and further settings of the agent.
SAME = {"goals": str, "gripper": str, "size": int, "period": int | float}
ACTED = {"planner": str, "device": str}


def bench_agents(folders: list[Path], report: Callable[[int, int], None]) -> dict:
    """Time the first decision of some episodes of every task, by the agent of each evaluation.

    The times in evaluations depend on the machine's other load; here all agents decide in turn. The time includes
    encoding the observation, not the goals. A calibration of the camera is left out, as its time is negligible.

    Args:
        folders: two or more folders of ``eval``.
        report: called with the number of decisions so far and in all.

    Returns:
        ``threads``, ``starts``, and as ``runs`` for each evaluation its agent, median seconds and model evaluations of
        a decision, and its seconds as a multiple of the first one's.

    Raises:
        UserError: a folder is not of an evaluation, its agent can't be loaded, or the evaluations differ in gripper,
            image size, goals or period.
    """
    if len(folders) < 2:
        raise UserError(
            "At least two agents are compared: give --evaluations and two or more folders of `vjepa-sim eval`."
        )
    runs = read_runs(folders)
    if runs[0].kind != "eval":
        raise UserError(f"{runs[0].folder} holds a deployment; give folders of `vjepa-sim eval`.")
    refuse(runs, tuple(SAME))
    for run in runs:
        _check(run)
    agents = {run.name: _agent_of(run) for run in runs if not AGENTS[run.config["agent"]].privileged}
    found: dict[str, list[tuple[float, int]]] = {run.name: [] for run in runs}
    warm: set[Agent] = set()
    done, total = 0, len(runs) * len(TASKS) * STARTS
    report(done, total)
    for task in TASKS:
        env = _env_of(runs[0], task)
        deciding = {run.name: agents.get(run.name) or _agent_of(run, env) for run in runs}
        try:
            for seed in range(STARTS):
                env.reset(seed=seed)
                shown = [goal.image_alone() for goal in env.goals]
                for name, agent in deciding.items():
                    agent.begin(shown)
                    if agent not in warm:  # a privileged agent is made anew for each environment
                        agent.act(env.observation)
                        warm.add(agent)
                    start = time.perf_counter()
                    agent.act(env.observation)
                    found[name].append((time.perf_counter() - start, agent.model_evaluations))
                    done += 1
                    report(done, total)
        finally:
            env.close()
    timed = {}
    first = np.median([seconds for seconds, _ in found[runs[0].name]])
    for run in runs:
        seconds, evaluations = np.median(found[run.name], 0)
        timed[run.name] = {
            "agent": run.agent,
            "seconds_per_action_median": float(seconds),
            "model_evaluations_per_action": float(evaluations),
            "times_the_first": float(seconds / first),
        }
    return {"threads": torch.get_num_threads(), "starts": STARTS * len(TASKS), "runs": timed}


def _env_of(run: RunFolder, task: str) -> SimEnv:
    """Environment of an evaluation, without randomisation."""
    config = run.config
    settings = {name: config[name] for name in ("gripper", "size", "goals", "period")}
    return SimEnv(task, "box", arm=config.get("arm", DEFAULT_ARM), **settings)


def _check(run: RunFolder) -> None:
    """Refuse damaged settings, and a path whose checkpoint was replaced since."""
    missing = lacking(run.config, SAME | ACTED)
    if missing:
        raise UserError(f"{run.folder}: its configuration is damaged: it lacks {', '.join(missing)}.")
    scored = run.config.get("checkpoint_crc32")
    if scored is not None and fingerprint(run.config["checkpoint"]) != scored:
        raise UserError(f"{run.folder} evaluates another model than the present one in {run.config['checkpoint']}.")


def _agent_of(run: RunFolder, env: SimEnv | None = None) -> Agent:
    """Load the agent of an evaluation."""
    config = run.config
    spec = AGENTS[config["agent"]]
    planner = config["planner"] if spec.planning else "default"
    agent = load_agent(spec.name, config["checkpoint"] if spec.learned else None, env=env, planner=planner)
    if spec.ours and isinstance(agent, LearnedAgent):
        agent.model.to(find_device(config["device"]))
    return agent
