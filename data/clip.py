"""A clip: a few frames, one after another in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose


@dataclass(frozen=True)
class Clip:
    """Frames a period apart, and what the arm did.

    Attributes:
        frames: uint8 [T, H, W, 3], or None if they weren't asked for.
        states: float32 [T, 7], see :mod:`vjepa_sim.envs.pose`; None where there is no arm.
        objects: float32 [T, 3], where the object is, metres, NaN where the data don't tell; to learn from, never to act
            on.
        commands: float32 [T, 7], the state that the arm was sent to in the period after each frame, or should have
            been, see :meth:`.Clips.draw_pair`; NaN where the data don't tell.
        chunk: float32 [K, 7], what the arm was sent to do in the K periods from the first frame on: changes of its
            pose, and the closedness; None if it wasn't asked for.
        numbers: int64 [T], the frames' numbers when all frames of a data set are counted through; None where the set
            has no episodes.
        stride: periods from one frame to the next.
        source: number of the data set in its mixture.
    """

    frames: np.ndarray | None
    states: np.ndarray | None = None
    objects: np.ndarray | None = None
    commands: np.ndarray | None = None
    chunk: np.ndarray | None = None
    numbers: np.ndarray | None = None
    stride: int = 1
    source: int = 0

    @property
    def actions(self) -> np.ndarray:
        """float32 [T - 1, 7], measured, between the frames."""
        return pose.difference(self.states[:-1], self.states[1:]).astype(np.float32)
