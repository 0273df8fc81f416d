"""How an arm is doing: what the safety envelope looks at, on the robot many times a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ArmStatus:
    """One look at an arm, without a picture.

    Attributes:
        state: float64 [7], measured, see :mod:`vjepa_sim.envs.pose`.
        target: float64 [7], where the arm was sent.
        arrived: whether it has had the time to get there. Never so in the simulator, where a hand may lean on
            something.
        joints: float64 [J], radians; None if unknown.
        joints_low, joints_high: float64 [J], the joints' limits; None if unknown.
        force: newtons at the flange.
        clock_age: seconds for which the robot's own clock has stood still.
        camera_age: seconds since the newest picture came.
        silence: seconds for which the agent has been waited for, since a reset or since its last command was done.
    """

    state: np.ndarray
    target: np.ndarray
    arrived: bool = False
    joints: np.ndarray | None = None
    joints_low: np.ndarray | None = None
    joints_high: np.ndarray | None = None
    force: float = 0.0
    clock_age: float = 0.0
    camera_age: float = 0.0
    silence: float = 0.0
