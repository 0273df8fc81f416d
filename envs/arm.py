"""The contract of an arm, simulated or real."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from envs.observation import Observation


class Arm(Protocol):
    """Seven numbers in, an image and seven numbers out. A third arm needs no change elsewhere.

    Attributes:
        period: seconds that one command takes.
        target: float64 [7], the state that the arm was last sent to; where the next command starts from.
    """

    period: float
    target: np.ndarray

    def reset(self) -> Observation:
        """Make ready for an episode and look."""

    def observe(self) -> Observation:
        """Look."""

    def command(self, action: np.ndarray) -> np.ndarray:
        """Move by an action [7] for one period; return the action [7] that was really sent."""

    def close(self) -> None:
        """Come to rest and let go of all resources."""
