"""The safety envelope: the same object around the simulated and the real arm."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from envs import pose
from envs.arm import Arm
from envs.errors import UserError
from envs.observation import Observation, check_action


@dataclass(frozen=True)
class SafetyLimits:
    """What one command may ask for, and where the flange may go.

    Attributes:
        max_translation: metres per step along each axis (a box, as in the V-JEPA 2 planner).
        max_rotation: radians per step about each axis.
        max_gripper: closedness per step.
        workspace_low, workspace_high: corners [3] of the box the flange stays in, metres, base frame.
    """

    max_translation: float = 0.075
    max_rotation: float = 0.2
    max_gripper: float = 0.75
    workspace_low: tuple[float, float, float] = (0.28, -0.35, 0.158)
    workspace_high: tuple[float, float, float] = (0.70, 0.35, 0.60)

    def __post_init__(self) -> None:
        if min(self.max_translation, self.max_rotation, self.max_gripper) <= 0:
            raise UserError(f"Step limits must be positive; given {self}.")
        if any(low >= high for low, high in zip(self.workspace_low, self.workspace_high, strict=True)):
            raise UserError(f"The workspace's low corner must lie below its high corner; given {self}.")

    @property
    def step(self) -> np.ndarray:
        """Largest absolute action [7]."""
        return np.array([self.max_translation] * 3 + [self.max_rotation] * 3 + [self.max_gripper])


@dataclass
class SafetyReport:
    """What the envelope did to the last command, in words, empty when it was sent as given."""

    clipped: list[str] = field(default_factory=list)


class SafetyEnvelope:
    """Clips each command to the limits before the wrapped arm sees it, and says so in :attr:`report`.

    Itself an :class:`envs.arm.Arm`.
    """

    def __init__(self, arm: Arm, limits: SafetyLimits | None = None):
        self.arm = arm
        self.limits = limits or SafetyLimits()
        self.report = SafetyReport()
        self._state: np.ndarray | None = None  # as last observed, or as the last command should have left it

    @property
    def period(self) -> float:
        """Seconds that one command takes."""
        return self.arm.period

    def reset(self) -> Observation:
        """Pass on to the arm, with a clean report."""
        self.report = SafetyReport()
        return self._noted(self.arm.reset())

    def observe(self) -> Observation:
        """Pass on to the arm."""
        return self._noted(self.arm.observe())

    def _noted(self, observation: Observation) -> Observation:
        self._state = observation.state.astype(np.float64)
        return observation

    def command(self, action: np.ndarray) -> np.ndarray:
        """Clip an action [7] and send it; returns the action [7] that was really sent.

        Raises:
            UserError: the action has another shape or is not finite. Nothing is sent then.
        """
        action = check_action(action)
        self.report = SafetyReport()
        step = self.limits.step
        clipped = np.clip(action, -step, step)
        if not np.array_equal(clipped, action):
            self.report.clipped.append(
                f"step limit {step.tolist()}: {action.round(4).tolist()} became {clipped.round(4).tolist()}"
            )
        state = self._state if self._state is not None else self.observe().state.astype(np.float64)
        goal = state[pose.POSITION] + clipped[pose.POSITION]
        inside = np.clip(goal, self.limits.workspace_low, self.limits.workspace_high)
        # An arm that starts outside the box may come back in steps, never go further out.
        if not np.array_equal(inside, goal):
            clipped[pose.POSITION] = np.clip(inside - state[pose.POSITION], -step[:3], step[:3])
            self.report.clipped.append(f"workspace: goal {goal.round(3).tolist()} became {inside.round(3).tolist()}")
        sent = self.arm.command(clipped)
        self._state = pose.integrate(state, sent)
        return sent

    def close(self) -> None:
        """Pass on to the arm."""
        self.arm.close()
