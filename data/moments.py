"""Which moments of a recording a clip is made of, and where the arm was sent in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.data.footage import Motion
from vjepa_sim.envs import pose

MAX_GAP = 2.5  # row periods; where more lie between two rows, some were lost
FINGERS_MOVE = 0.2  # closedness per second: slower fingers stand still


@dataclass(frozen=True)
class Draw:
    """Which clip was drawn.

    Attributes:
        episode: number.
        stride: periods from one frame to the next.
        kind: of its last frame: the episode's ``end``, a ``turn`` (the fingers begin or stop to move there), or
            ``any``.
        share: which of those that there are, from 0 to 1.
    """

    episode: int
    stride: int
    kind: str
    share: float


def begin(drawn: Draw, motion: Motion, span: float) -> float:
    """Where a clip begins, as a share from 0 to 1 of the rows at which it can; where no turn has room, anywhere."""
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
    """Rows at which the fingers begin to move, and rows at which they have stopped."""
    rates = np.abs(np.diff(motion.states[:, pose.GRIPPER])) / np.diff(motion.stamps)
    moving = np.concatenate([[False], rates > FINGERS_MOVE, [False]])  # before each row, and after the last
    return np.flatnonzero(moving[1:] != moving[:-1])


def commands_at(commands: np.ndarray, stamps: np.ndarray, times: np.ndarray, period: float) -> np.ndarray:
    """Where the arm was sent in the periods that begin at times [T]; NaN before the first row.

    In a recording with several rows a period, what counts is where it was sent last.
    """
    rows = np.searchsorted(stamps, times + (1 - 1e-6) * period) - 1
    return np.where(rows[:, None] >= 0, commands[rows], np.nan).astype(commands.dtype)


def chunk_at(
    motion: Motion, commands: np.ndarray, *, begin: float, goal: float, length: int, period: float
) -> np.ndarray:
    """What the arm was sent to do in the periods from a moment on; once the goal is there, to stay where it was sent
    last.

    Args:
        motion: of the episode.
        commands: where it was sent [T, 7], with one row for each of the motion's.
        begin: the moment, in seconds.
        goal: likewise.
        length: number of periods.
        period: seconds.

    Returns:
        float32 [length, 7]: changes of its pose, and the closedness; NaN where unknown.
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

    The first is a row's own, at a share ``where`` of what is possible.

    Returns:
        None if there is no room, or the recording has a gap there.
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
