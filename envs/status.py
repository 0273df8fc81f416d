"""Status of an arm: the measurements that the safety envelope checks, on a robot many times a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ArmStatus:
    """Measurements of an arm, without an image.

    Attributes:
        state: measured state, float64 [7], see :mod:`vjepa_sim.envs.pose`.
        target: commanded state, float64 [7].
        arrived: whether the motion is over (the arm rests, or its time has passed), so that :attr:`state` must be near
            :attr:`target`. Always False in the simulator, where the end effector may push against something.
        joints: joint positions, float64 [J], radians; None if unknown.
        joints_low, joints_high: joint limits, float64 [J], radians; None only where the joints are.
        force: external force on the flange, newtons.
        clock_age: seconds for which the robot's own clock has stood still.
        camera_age: seconds since the newest image arrived.
        silence: seconds since the agent's last command was finished, or since the reset; 0 during a command.
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

    def __post_init__(self) -> None:
        if self.joints is not None and (self.joints_low is None or self.joints_high is None):
            raise ValueError(
                "An arm that reports its joints reports their limits too; joints_low and joints_high are None."
            )
