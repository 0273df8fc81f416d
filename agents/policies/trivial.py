"""The floors of every table: an agent that moves at random, and one that stands still."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.pose import ACTION_DIM
from vjepa_sim.envs.safety import SafetyLimits


class RandomAgent:
    """Uniform actions within the step limits."""

    model_evaluations = 0
    current_goal = 0

    def __init__(self, limits: SafetyLimits | None = None, seed: int = 0):
        self._step = (limits or SafetyLimits()).step
        self._rng = np.random.default_rng(seed)

    def begin(self, goals: list[Goal]) -> None:
        """Goals are ignored."""

    def act(self, observation: Observation) -> np.ndarray:
        """Action [7] float32."""
        return self._rng.uniform(-self._step, self._step).astype(np.float32)


class StillAgent:
    """Zero actions: whatever it solves was solved at the start."""

    model_evaluations = 0
    current_goal = 0

    def begin(self, goals: list[Goal]) -> None:
        """Goals are ignored."""

    def act(self, observation: Observation) -> np.ndarray:
        """Action [7] float32."""
        return np.zeros(ACTION_DIM, np.float32)
