"""Time: rows that are missing, clocks that wander, rates that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.lint.finding import ERROR, WARNING, Finding
from data.lint.subject import Subject

GAP = 1.5  # periods: beyond it the nearest whole number of periods is two, so a row is missing
JITTER = 0.2  # of a period, standard deviation: from there on an action's length is mostly chance
DRIFT = 0.5  # of a period: from there on a row belongs to another moment than its number says
PERIOD_DIFFERS = 0.05  # of the data set's median: more than any clock errs


def gaps(subject: Subject) -> list[Finding]:
    """Rows that are missing, by their stamps."""
    period, waits = subject.episode.period, np.diff(subject.episode.stamps)
    late = np.flatnonzero(waits > GAP * period)
    if not len(late):
        return []
    missing = int(np.round(waits[late] / period - 1).sum())
    first = int(late[0])
    return [
        subject.finding(
            "gaps",
            ERROR,
            f"{len(late)} gaps, about {missing} rows missing; the first is {waits[first]:.3f} s before row {first + 1} "
            f"(rows are {period:.3f} s apart)",
            "Cut the episode there: the action over a gap is several steps in one.",
            first + 1,
        )
    ]


def irregular(subject: Subject) -> list[Finding]:
    """Stamps that scatter around, or wander from, an even rate; gaps are found by :func:`gaps`."""
    stamps, period = subject.episode.stamps, subject.episode.period
    waits = np.diff(stamps)
    if len(waits) < 4 or (waits > GAP * period).any():
        return []
    jitter = float(waits.std() / period)
    rows = np.arange(len(stamps))
    residual = (stamps - np.polyval(np.polyfit(rows, stamps - stamps[0], 1), rows) - stamps[0]) / period
    worst = int(np.abs(residual).argmax())
    findings = []
    if jitter > JITTER:
        findings.append(
            subject.finding(
                "jitter",
                WARNING,
                f"the time between rows scatters by {jitter:.0%} of the period ({period:.3f} s)",
                "Resample to an even rate by the stamps, or divide actions by the time they took.",
                int(np.abs(waits - period).argmax()) + 1,
            )
        )
    if abs(residual[worst]) > DRIFT:
        findings.append(
            subject.finding(
                "drift",
                WARNING,
                f"stamps wander from an even rate by up to {abs(residual[worst]):.1f} periods of {period:.3f} s",
                "Take time from the stamps, not from row numbers; resample to an even rate.",
                worst,
            )
        )
    return findings


@dataclass(frozen=True)
class Rate:
    """Seconds between two rows of an episode."""

    name: str
    number: int
    period: float


def measure_rate(subject: Subject) -> Rate:
    """The episode's period."""
    return Rate(subject.name, subject.number, subject.episode.period)


def differing_rates(rates: Sequence[Rate]) -> list[Finding]:
    """Episodes whose period isn't the data set's."""
    median = float(np.median([rate.period for rate in rates]))
    return [
        Finding(
            "period",
            rate.name,
            rate.number,
            None,
            WARNING,
            f"rows are {rate.period:.4f} s apart, the data set's median is {median:.4f} s",
            "An action means something else here: resample, or keep data of different rates in different sets.",
        )
        for rate in rates
        if abs(rate.period / median - 1) > PERIOD_DIFFERS
    ]
