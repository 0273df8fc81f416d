"""The contract of an arm, simulated or real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from envs.observation import Observation
from envs.status import ArmStatus


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

    def status(self) -> ArmStatus:
        """How it is doing, without a picture."""

    def watch(self, check: Callable[[ArmStatus], None]) -> None:
        """Have ``check`` asked as often as there is something new; what it raises stops the arm."""

    def close(self) -> None:
        """Come to rest and let go of all resources."""
