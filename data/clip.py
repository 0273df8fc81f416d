"""Clips: a few frames, one after another in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose


@dataclass(frozen=True, kw_only=True)
class VideoClip:
    """Frames of a video, a period or several apart.

    Attributes:
        frames: uint8 [T, H, W, 3], or None if they weren't asked for.
        source: number of the data set in its mixture.
    """

    frames: np.ndarray | None
    source: int = 0


@dataclass(frozen=True, kw_only=True)
class RobotClip(VideoClip):
    """Frames of a robot episode, and the arm's motion.

    Attributes:
        states: float32 [T, 7], see :mod:`vjepa_sim.envs.pose`.
        objects: float32 [T, 3], position of the object, metres, NaN where unknown; a training target, never an input of
            an agent.
        commands: float32 [T, 7], the state that the arm was sent to in the period after each frame, or should have
            been, see :meth:`.Clips.draw_pair`; NaN where unknown.
        numbers: int64 [T], index of each frame among all frames of the data set.
    """

    states: np.ndarray
    objects: np.ndarray
    commands: np.ndarray
    numbers: np.ndarray

    @property
    def actions(self) -> np.ndarray:
        """float32 [T - 1, 7], measured differences between the frames' states."""
        return pose.difference(self.states[:-1], self.states[1:]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class GoalPair(RobotClip):
    """A moment of an episode and a goal: two frames, T = 2.

    Attributes:
        stride: periods from the moment to the goal; 0 where the goal is the moment itself.
        chunk: float32 [K, 7], commands in the K periods from the moment on: changes of the arm's pose, and the
            closedness; None if it wasn't asked for.
    """

    stride: int
    chunk: np.ndarray | None = None
