"""The contract of an arm, simulated or real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.status import ArmStatus


class Arm(Protocol):
    """Seven numbers in, an image and seven numbers out, whatever the arm: see :mod:`vjepa_sim.envs.pose`."""

    @property
    def period(self) -> float:
        """Seconds that one command takes."""
        ...

    @property
    def target(self) -> np.ndarray:
        """The state, float64 [7], that the arm was last sent to; where the next command starts from."""
        ...

    def reset(self) -> Observation:
        """Make ready for an episode and look."""
        ...

    def observe(self) -> Observation:
        """Look."""
        ...

    def command(self, action: np.ndarray) -> np.ndarray:
        """Move by an action [7] for one period; return the action [7] that was really sent."""
        ...

    def status(self) -> ArmStatus:
        """How it is doing, without an image."""
        ...

    def watch(self, check: Callable[[ArmStatus], None]) -> None:
        """Have ``check`` asked as often as there is something new; what it raises stops the arm."""
        ...

    def close(self) -> None:
        """Come to rest and let go of all resources."""
        ...
