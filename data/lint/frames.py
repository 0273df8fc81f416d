"""Frames that were recorded twice."""

from __future__ import annotations

import numpy as np

from vjepa_sim.data.lint.finding import WARNING, Finding
from vjepa_sim.data.lint.subject import Subject
from vjepa_sim.data.motion import stretches

MOVES = 0.005  # m from row to row: a gripper that moves so far changes some pixels of any view in which it is visible
# Grey levels: largest change of the most changed percent of pixels in a repeated image; a codec changes no more.
REPEATED = 6.0
# Share of the episode's usual change: a gripper at the image's edge changes little, a repeated frame almost nothing.
SHARE_OF_USUAL = 0.05
# Share of the usual change just before and after: a camera stops suddenly, an arm leaves the image gradually.
SUDDEN = 0.7
SEEN = 8.0  # grey levels: least usual change of the most changed percent; below it, the arm isn't visible
SHARE_SEEN = 0.1  # least share of such changes while the arm moves: of a camera that repeats each frame up to ten times


def repeated_frames(subject: Subject) -> list[Finding]:
    """Frames equal to the one before while the arm moves."""
    moving = subject.moved > MOVES
    if not moving.any():
        return []
    changed = np.percentile(subject.differences.reshape(len(moving), -1), 99, axis=1)
    # The usual change is that of frames that did change: where most are repeated, the median of all would be 0.
    seen = changed[moving & (changed >= SEEN)]
    if len(seen) <= SHARE_SEEN * moving.sum():
        return []
    usual = float(np.median(seen))
    same = np.concatenate(
        [
            np.arange(first, last)
            for first, last in stretches(moving & (changed < min(REPEATED, SHARE_OF_USUAL * usual)))
            if min(changed[[step for step in (first - 1, last) if 0 <= step < len(changed)]], default=0)
            > SUDDEN * usual
        ]
        or [np.empty(0, int)]
    )
    if not len(same):
        return []
    row = int(same[0])
    return [
        subject.finding(
            "repeated frames",
            WARNING,
            f"{len(same)} frames repeat the one before while the arm moves, the first in row {row + 1} (the arm moved "
            f"{subject.moved[row] * 1000:.0f} mm, the image changed by {changed[row]:.1f} grey levels instead of "
            f"{usual:.0f})",
            remedy="The camera was read faster than it delivers, or frames were lost and filled in: sample at a lower "
            "rate, or drop these rows.",
            row=row + 1,
        )
    ]
