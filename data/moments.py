"""Moments of a recording that a clip consists of, and the commands at these moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.data.footage import Motion
from vjepa_sim.envs import pose

MAX_GAP = 2.5  # periods between two rows; beyond it, rows were lost
FINGERS_MOVE = 0.2  # closedness per second; slower fingers count as still


@dataclass(frozen=True)
class Draw:
    """A random choice of a clip.

    Attributes:
        episode: Number of the episode.
        stride: Periods from one frame to the next.
        kind: Kind of the last frame: the episode's ``end``, a ``turn`` (fingers start or stop moving), or ``any``.
        share: Position among the possible clips, from 0 to 1.
    """

    episode: int
    stride: int
    kind: str
    share: float


def begin(drawn: Draw, motion: Motion, span: float) -> float:
    """First row of a clip, as a share from 0 to 1 of the rows where it can begin; any row if no ``turn`` fits."""
    if drawn.kind == "end":
        return 1.0
    starts = motion.stamps[motion.stamps <= motion.stamps[-1] - span + 1e-6]
    turns = motion.stamps[_finger_turns(motion)]
    turns = turns[turns >= motion.stamps[0] + span - 1e-6]
    if drawn.kind == "any" or not len(turns) or not len(starts):
        return drawn.share
    first = np.abs(starts - (turns[int(drawn.share * len(turns))] - span)).argmin()
    return (first + 0.5) / len(starts)


def _finger_turns(motion: Motion) -> np.ndarray:
    """Rows at which the fingers start moving, and rows at which they have stopped."""
    rates = np.abs(np.diff(motion.states[:, pose.GRIPPER])) / np.diff(motion.stamps)
    moving = np.concatenate([[False], rates > FINGERS_MOVE, [False]])  # before each row, and after the last one
    return np.flatnonzero(moving[1:] != moving[:-1])


def commands_at(commands: np.ndarray, stamps: np.ndarray, times: np.ndarray, period: float) -> np.ndarray:
    """Commands [T, 7] of the periods that begin at times [T]; NaN before the first row.

    With several rows in a period, the last command counts.
    """
    rows = np.searchsorted(stamps, times + (1 - 1e-6) * period) - 1
    return np.where(rows[:, None] >= 0, commands[rows], np.nan).astype(commands.dtype)


def chunk_at(
    motion: Motion, commands: np.ndarray, *, begin: float, goal: float, length: int, period: float
) -> np.ndarray:
    """Commands of the periods from a moment on; after the goal, the last command is repeated.

    Args:
        motion: Motion of the episode.
        commands: Commanded target states [T, 7], one for each row of the motion.
        begin: The moment, seconds.
        goal: Time of the goal, seconds.
        length: Number of periods.
        period: Seconds.

    Returns:
        float32 [length, 7]: changes of the end-effector pose, and closedness; NaN where unknown.
    """
    times = begin + period * np.arange(length)
    states = pose.interpolate(motion.states, motion.stamps, np.minimum(times, goal))
    sent = commands_at(commands, motion.stamps, np.minimum(times, goal - period), period)
    known = np.isfinite(sent).all(1)
    chunk = np.full((length, pose.ACTION_DIM), np.nan, np.float32)
    chunk[known] = pose.difference(states[known], sent[known])
    chunk[known, pose.GRIPPER] = sent[known, pose.GRIPPER]
    return chunk


def rows_in_time(stamps: np.ndarray, where: float, frames: int, step: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Times [frames] that are ``step`` seconds apart, and the nearest rows [frames].

    The first time is that of a row, chosen by ``where`` (0 to 1) among those from which the clip fits.

    Returns:
        Times and rows; None if the clip doesn't fit, or the recording has a gap there.
    """
    last = stamps[-1] - (frames - 1) * step
    room = int(np.searchsorted(stamps, last + 1e-6 * step, side="right"))
    if room == 0:
        return None
    times = stamps[min(int(where * room), room - 1)] + step * np.arange(frames)
    after = np.clip(np.searchsorted(stamps, times), 1, len(stamps) - 1)
    rows = np.where(times - stamps[after - 1] <= stamps[after] - times, after - 1, after)
    waits = np.diff(stamps)
    if frames > 1 and waits[rows[0] : max(rows[-1], after[-1])].max(initial=0) > MAX_GAP * np.median(waits):
        return None
    return times, rows
