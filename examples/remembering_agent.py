"""An agent of one's own: returns to where it saw what is most like the goal image.

It remembers what it saw where, wanders at first, and then returns to the remembered state whose image is most like the
goal's. It learns nothing and plans nothing; it shows the contract.

Try it::

    vjepa-sim eval --plugin examples/remembering_agent.py --agent remember --task reach --episodes 20 --out results
"""

from __future__ import annotations

import numpy as np

from vjepa_sim.agents import AGENTS, AgentSetup, AgentSpec
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import ACTION_DIM, POSITION
from vjepa_sim.envs.safety import SafetyLimits

WANDERS = 5  # steps


class RememberingAgent:
    """Keeps the last goal's image and every observation of the episode."""

    model_evaluations = 0
    current_goal = 0

    def __init__(self, limits: SafetyLimits, seed: int):
        self._limits, self._rng = limits, np.random.default_rng(seed)
        self._goal = np.zeros((1, 1, 3))
        self._seen: list[tuple[float, np.ndarray]] = []

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode toward the last goal."""
        self._goal, self._seen, self.current_goal = goals[-1].rgb.astype(np.float64), [], len(goals) - 1

    def act(self, observation: Observation) -> np.ndarray:
        """Action [7] float32."""
        unlike = float(np.abs(observation.rgb - self._goal).mean())
        self._seen.append((unlike, observation.state[POSITION].copy()))
        action = np.zeros(ACTION_DIM, np.float32)
        step = self._limits.max_translation
        if len(self._seen) <= WANDERS:
            action[POSITION] = self._rng.uniform(-step, step, 3)
        else:
            _, best = min(self._seen, key=lambda each: each[0])
            action[POSITION] = np.clip(best - observation.state[POSITION], -step, step)
        return action


def make(setup: AgentSetup) -> RememberingAgent:
    """For every episode's agent: what the command line gave."""
    return RememberingAgent(setup.limits, setup.seed)


AGENTS.register(AgentSpec("remember", "returns to where it saw what is most like the goal", make))
