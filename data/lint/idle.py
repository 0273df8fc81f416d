"""Stretches without motion."""

from __future__ import annotations

import numpy as np

from vjepa_sim.data.lint.finding import WARNING, Finding
from vjepa_sim.data.lint.subject import Subject
from vjepa_sim.data.motion import IDLE_RULE, idle, stretches

# openpi's filter for DROID cuts at about half a second; a pause before a grasp is that long and worth learning, so
# only longer ones are reported.
IDLE_SECONDS = 2.0
CLUTCH_SHARE = 0.1  # share of an episode's rows
CLUTCH = "observation/controller_info/movement_enabled"


def idle_stretches(subject: Subject) -> list[Finding]:
    """Stretches of more than :data:`IDLE_SECONDS` without motion, one finding each."""
    stamps, rows = subject.episode.stamps, len(subject.episode)
    findings = []
    for first, last in stretches(idle(subject.steps)):  # step i leads from row i to row i + 1
        seconds = stamps[last] - stamps[first]
        if seconds > IDLE_SECONDS:
            place = (
                "the whole episode"
                if last - first == rows - 1
                else "at the start"
                if first == 0
                else "at the end"
                if last == rows - 1
                else "in between"
            )
            findings.append(
                subject.finding(
                    "idle",
                    WARNING,
                    f"no motion for {seconds:.1f} s, rows {first} to {last}, {place}, "
                    f"{(last - first) / (rows - 1):.0%} of the episode ({IDLE_RULE})",
                    remedy="Cut these rows: a model learns from them to stand still.",
                    row=first,
                )
            )
    return findings


def clutch_released(subject: Subject) -> list[Finding]:
    """Rows in which DROID's operator had released the clutch: the arm is still on purpose."""
    enabled = subject.episode.extras.get(CLUTCH)
    if enabled is None or enabled.ndim != 1:
        return []
    released = ~enabled.astype(bool)
    found = stretches(released)
    seconds = [float(subject.episode.stamps[last - 1] - subject.episode.stamps[first]) for first, last in found]
    if not found or (max(seconds) <= IDLE_SECONDS and released.mean() <= CLUTCH_SHARE):
        return []
    longest = found[int(np.argmax(seconds))]
    return [
        subject.finding(
            "clutch",
            WARNING,
            f"movement_enabled is false in {released.sum()} of {len(released)} rows ({released.mean():.0%}), in "
            f"{len(found)} stretches; the longest is rows {longest[0]} to {longest[1] - 1} ({max(seconds):.1f} s)",
            remedy="Drop these rows, as DROID's own filter does (skip_action).",
            row=longest[0],
        )
    ]
