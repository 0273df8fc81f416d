"""Reference policies that are lower bounds in tables: random actions, and none."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import ACTION_DIM
from vjepa_sim.envs.safety import SafetyLimits


class RandomAgent:
    """Uniformly random actions within the step limits."""

    model_evaluations = 0
    current_goal = 0

    def __init__(self, limits: SafetyLimits | None = None, seed: int = 0):
        self._step = (limits or SafetyLimits()).step
        self._rng = np.random.default_rng(seed)

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode; goals are unused."""

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""
        return self._rng.uniform(-self._step, self._step).astype(np.float32)


class StillAgent:
    """Zero actions. An episode that it solves was solved at its start."""

    model_evaluations = 0
    current_goal = 0

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode; goals are unused."""

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""
        return np.zeros(ACTION_DIM, np.float32)
