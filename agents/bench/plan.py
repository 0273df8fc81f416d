"""One decision: time, model evaluations, and how far the search lowers the energy."""

from __future__ import annotations

import numpy as np

from agents.bench.timing import in_turn
from agents.mpc import MPCAgent
from envs.franka_env import FrankaEnv
from vjepa_sim.world_model import WorldModel

STARTS = 8


def bench_plan(checkpoint: str) -> dict:
    """Median seconds per decision, encoding included, over the first step of several reach episodes."""
    env = FrankaEnv("reach", "box")
    agent = MPCAgent(WorldModel.from_pretrained(checkpoint), limits=env.arm.limits)
    seconds, first, last = [], [], []
    try:
        for seed in range(STARTS):
            _, info = env.reset(seed=seed)
            agent.begin(info["goals"])
            seconds.append(float(in_turn({"act": lambda: agent.act(env.observation)}, rounds=1)["act"][0]))
            first.append(agent.plan.curve[0])
            last.append(agent.plan.curve[-1])
    finally:
        env.close()
    config = agent.config.cem
    return {
        "checkpoint": agent.model.card.name,
        "samples": config.samples,
        "iterations": config.iterations,
        "horizon": config.horizon,
        "seconds_per_action_median": float(np.median(seconds)),
        "model_evaluations_per_action": agent.model_evaluations,
        "energy_after_first_round": float(np.median(first)),
        "energy_after_last_round": float(np.median(last)),
    }
