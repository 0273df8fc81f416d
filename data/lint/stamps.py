"""Time stamps: missing rows, drifting or differing clocks, differing rates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.lint.finding import ERROR, WARNING, Finding
from vjepa_sim.data.lint.subject import Subject

GAP = 1.5  # periods: beyond it, a row is missing
JITTER = 0.2  # periods, standard deviation: beyond it, an action's size is mostly chance
DRIFT = 0.5  # periods: beyond it, a row's number is no measure of its time
PERIOD_DIFFERS = 0.05  # share of the data set's median period: more than any clock errs
CERTAIN = 4.0  # standard errors of a slope
APART = 2.0  # periods between a row's stamps: a camera is read within one, and its image is less than one old
# DROID's clocks, in milliseconds since 1970.
ROBOT_CLOCK = "observation/timestamp/robot_state/read_start"
CAMERA_CLOCKS = "observation/timestamp/cameras/"
EVENTS = ("frame_received", "estimated_capture")  # the first one present is used
TIME_OF_DAY = 1e9  # s: smaller stamps are not times of day


def gaps(subject: Subject) -> list[Finding]:
    """Missing rows, by the stamps."""
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
            remedy="Cut the episode there: the action over a gap is several steps in one.",
            row=first + 1,
        )
    ]


def irregular(subject: Subject) -> list[Finding]:
    """Stamps with jitter around, or drift from, an even rate; gaps are found by :func:`gaps`."""
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
                remedy="Resample to an even rate by the stamps, or divide actions by the time they took.",
                row=int(np.abs(waits - period).argmax()) + 1,
            )
        )
    if abs(residual[worst]) > DRIFT:
        findings.append(
            subject.finding(
                "drift",
                WARNING,
                f"stamps drift from an even rate by up to {abs(residual[worst]):.1f} periods of {period:.3f} s",
                remedy="Take time from the stamps, not from row numbers; resample to an even rate.",
                row=worst,
            )
        )
    return findings


def camera_clock(subject: Subject) -> list[Finding]:
    """Cameras' stamps that drift from, or are far from, the robot's, in DROID's recordings."""
    robot, period = _robot_clock(subject.episode), subject.episode.period * 1000
    if robot is None or len(robot) < 5:
        return []
    findings = []
    for serial, stamps in _camera_clocks(subject.episode.extras).items():
        apart = stamps - robot
        fit = linregress(np.arange(len(apart)), apart)
        slope, stderr = fit.slope, fit.stderr  # pyright: ignore[reportAttributeAccessIssue]  # SciPy makes this type at run time
        change, middle = slope * (len(apart) - 1), float(np.median(apart))
        if abs(change) > DRIFT * period and abs(slope) > CERTAIN * stderr:
            findings.append(
                subject.finding(
                    "camera clock drift",
                    WARNING,
                    f"the stamps of camera {serial} {'gain' if change > 0 else 'lose'} {abs(change):.0f} ms on the "
                    f"robot's over the episode (rows are {period:.0f} ms apart)",
                    remedy="Frames fall behind the states, or one clock is fast: stamp both with one clock, or pair "
                    "frames and states anew by their stamps, after removing the drift.",
                    row=int(np.ceil(DRIFT * period / abs(slope))),
                )
            )
        if abs(middle) > APART * period:
            findings.append(
                subject.finding(
                    "camera clock offset",
                    WARNING,
                    f"camera {serial} is stamped {abs(middle):.0f} ms {'after' if middle > 0 else 'before'} the robot "
                    f"(median; rows are {period:.0f} ms apart)",
                    remedy="If the clocks agree, shift frames against states by that time; otherwise synchronise "
                    "them and leave the frames where they are.",
                    row=int(np.argmax(np.abs(apart) > APART * period)),
                )
            )
    return findings


def _robot_clock(episode: Episode) -> np.ndarray | None:
    """Milliseconds [T] of the robot's clock, or None if unknown."""
    if ROBOT_CLOCK in episode.extras:
        return _milliseconds(episode.extras[ROBOT_CLOCK])
    return episode.stamps * 1000 if episode.stamps[0] > TIME_OF_DAY else None


def _camera_clocks(extras: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Milliseconds [T] of the cameras' clocks, by serial."""
    name_of = re.compile(f"{CAMERA_CLOCKS}(.+)_({'|'.join(EVENTS)})")
    serials = dict.fromkeys(match[1] for match in map(name_of.fullmatch, extras) if match)
    found = {}
    for serial in serials:
        names = (f"{CAMERA_CLOCKS}{serial}_{event}" for event in EVENTS)
        stamps = _milliseconds(next(extras[name] for name in names if name in extras))
        if stamps is not None:
            found[serial] = stamps
    return found


def _milliseconds(values: np.ndarray) -> np.ndarray | None:
    """Stamps float64 [T], or None if the values are not numbers [T]."""
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return None
    return values.astype(np.float64)


@dataclass(frozen=True)
class Rate:
    """Median seconds between two rows of an episode."""

    name: str
    number: int
    period: float


def measure_rate(subject: Subject) -> Rate:
    """The episode's period."""
    return Rate(subject.name, subject.number, subject.episode.period)


def differing_rates(rates: Sequence[Rate]) -> list[Finding]:
    """Episodes whose period differs from the data set's."""
    median = float(np.median([rate.period for rate in rates]))
    return [
        Finding(
            check="period",
            episode=rate.name,
            number=rate.number,
            row=None,
            severity=WARNING,
            what=f"rows are {rate.period:.4f} s apart, the data set's median is {median:.4f} s",
            remedy="An action means something else here: resample, or keep data of different rates in different sets.",
        )
        for rate in rates
        if abs(rate.period / median - 1) > PERIOD_DIFFERS
    ]
