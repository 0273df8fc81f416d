"""The contract of an arm, simulated or real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.status import ArmStatus


class Arm(Protocol):
    """An action [7] in, an image and a state [7] out, for every kind of arm; see :mod:`vjepa_sim.envs.pose`."""

    @property
    def period(self) -> float:
        """Control period: seconds that one command takes."""
        ...

    @property
    def target(self) -> np.ndarray:
        """Commanded state, float64 [7]; the next command is relative to it."""
        ...

    def reset(self) -> Observation:
        """Prepare the arm for an episode; returns the first observation."""
        ...

    def observe(self) -> Observation:
        """The present observation."""
        ...

    def command(self, action: np.ndarray) -> np.ndarray:
        """Move by an action [7] for one period; returns the action [7] that was sent."""
        ...

    def status(self) -> ArmStatus:
        """Measurements for the safety envelope, without an image."""
        ...

    def watch(self, check: Callable[[ArmStatus], None]) -> None:
        """Call ``check`` with every new status; an exception that it raises stops the arm."""
        ...

    def close(self) -> None:
        """Bring the arm to rest and release all resources."""
        ...
