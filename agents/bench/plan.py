"""One decision by this project's searches and by V-JEPA 2-AC's: time, model evaluations, and the energy reached."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from vjepa_sim.agents.planning.energy import feature_distance
from vjepa_sim.agents.planning.mpc import MPCAgent, MPCConfig
from vjepa_sim.agents.planning.presets import PLANNERS, REFERENCE
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.registry import load_world_model

STARTS = 3  # per task
EQUAL = 1e-5  # energies that differ by less are equal
# All minimise the same energy, so that only the searches differ.
SEARCHES: dict[str, MPCConfig] = {
    name: replace(
        PLANNERS[name].config,
        energy=REFERENCE.energy,
        searched=REFERENCE.searched,
        reached=0.0,
        correct_view=False,
    )
    for name in ("default", "gradient", "reference")
}


def bench_plan(checkpoint: str) -> dict:
    """Time the first decision of some episodes of every task, encoding included, by each search in turn.

    All searches minimise V-JEPA 2-AC's energy one step ahead, with the same weights from the same starts. The energy of
    a plan is that of its final actions.

    Args:
        checkpoint: world model to plan with.

    Returns:
        For each search its settings, median seconds, model evaluations, mean energy, and the curve of energy against
        seconds, after each iteration and after the descent; and for all but the reference its speed relative to the
        reference, the share of starts in which its energy is no higher, and its mean energy less the reference's.
    """
    model = load_world_model(checkpoint)
    found: dict[str, list[_Decision]] = {name: [] for name in SEARCHES}
    for task in TASKS:
        env = SimEnv(task, "box")
        agents = {name: MPCAgent(model, config, env.arm.limits) for name, config in SEARCHES.items()}
        try:
            for seed in range(STARTS):
                _, info = env.reset(seed=seed)
                for name, agent in agents.items():
                    agent.begin(info["goals"])
                    if not found[name]:
                        agent.act(env.observation)  # warms up
                    found[name].append(_decide(agent, info["goals"][0], env.observation))
        finally:
            env.close()
    result: dict = {"checkpoint": model.card.name, "starts": STARTS * len(TASKS)}
    for name, decisions in found.items():
        cem = SEARCHES[name].cem
        result[name] = {
            "samples": cem.samples,
            "iterations": cem.iterations,
            "seconds_per_action_median": float(np.median([each.seconds for each in decisions])),
            "model_evaluations_per_action": float(np.median([each.evaluations for each in decisions])),
            "energy_mean": float(np.mean([each.energy for each in decisions])),
            "curve_seconds": np.median([each.at for each in decisions], 0).round(4).tolist(),
            "curve_energy": np.mean([each.curve for each in decisions], 0).round(5).tolist(),
        }
    theirs = np.array([each.energy for each in found["reference"]])
    for name in SEARCHES.keys() - {"reference"}:
        ours = np.array([each.energy for each in found[name]])
        result[name] |= {
            "times_faster": result["reference"]["seconds_per_action_median"]
            / result[name]["seconds_per_action_median"],
            "energy_no_higher_share": float(np.mean(ours <= theirs + EQUAL)),
            "energy_minus_reference": float(np.mean(ours - theirs)),
        }
    return result


@dataclass(frozen=True)
class _Decision:
    """One decision.

    Attributes:
        seconds: time of the decision, encoding included.
        evaluations: model evaluations.
        energy: energy of the final actions.
        at, curve: seconds since the search began, and the lowest energy so far, after each iteration and after the
            descent.
    """

    seconds: float
    evaluations: int
    energy: float
    at: tuple[float, ...]
    curve: tuple[float, ...]


def _decide(agent: MPCAgent, goal: Goal, observation: Observation) -> _Decision:
    start = time.perf_counter()
    agent.act(observation)
    seconds = time.perf_counter() - start
    model, plan = agent.model, agent.plan
    z, toward = model.encode(observation.rgb)[0], model.encode(goal.rgb)[0]
    energy = feature_distance(
        model, z, state=torch.from_numpy(observation.state), actions=plan.actions[None], goal=toward
    )
    return _Decision(seconds, agent.model_evaluations, float(energy), plan.seconds, plan.curve)
