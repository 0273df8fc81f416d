"""Clips: a few frames in order of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose


@dataclass(frozen=True, kw_only=True)
class VideoClip:
    """Frames of a video, one or more periods apart.

    Attributes:
        frames: uint8 [T, H, W, 3], or None if they were not requested.
        source: Index of the data set in its mixture.
    """

    frames: np.ndarray | None
    source: int = 0


@dataclass(frozen=True, kw_only=True)
class RobotClip(VideoClip):
    """Frames of a robot episode with the arm's motion.

    Attributes:
        states: float32 [T, 7], see :mod:`vjepa_sim.envs.pose`.
        objects: float32 [T, 3], object position in metres, NaN where unknown; a training target, never an agent's
            input.
        commands: float32 [T, 7], the target state commanded in the period after each frame, or the one an expert
            intended, see :meth:`.Clips.draw_pair`; NaN where unknown.
        numbers: int64 [T], index of each frame among all frames of the data set.
    """

    states: np.ndarray
    objects: np.ndarray
    commands: np.ndarray
    numbers: np.ndarray

    @property
    def actions(self) -> np.ndarray:
        """Measured differences between the frames' states, float32 [T - 1, 7]."""
        return pose.difference(self.states[:-1], self.states[1:]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class GoalPair(RobotClip):
    """A start frame and a goal frame of one episode, T = 2.

    Attributes:
        stride: Periods from the start to the goal; 0 if the start is the goal.
        chunk: float32 [K, 7], commands of the K periods from the start: changes of the end-effector pose, and
            closedness; None if it was not requested.
    """

    stride: int
    chunk: np.ndarray | None = None
