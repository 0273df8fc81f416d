"""Frames stored in the wrong row.

When the arm moves, the image changes. The correlation of both motions is computed with frames shifted against states by
up to five rows; it should be largest without a shift. If frames were lost within a video, the best shift differs
between the two halves of the episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vjepa_sim.data.lint.finding import ERROR, WARNING, Finding
from vjepa_sim.data.lint.subject import Subject
from vjepa_sim.envs.pose import GRIPPER, ROTATION

MAX_LAG = 5  # rows
LAGS = np.arange(-MAX_LAG, MAX_LAG + 1)
OVERLAP = 6  # steps: with fewer pairs, a correlation means nothing
# Metres of motion equivalent in the image to a radian of rotation and to closing the fingers: about the sizes of
# gripper and fingers.
RADIAN, CLOSING = 0.05, 0.02
# All episodes together: least gain in correlation of a better lag, and least ratio of the gain to its standard error.
# Good simulated data have a gain of -0.6.
GAIN, CERTAIN = 0.05, 4.0
# A single episode has some twenty steps and chance correlations of 0.2 to 0.5; none of 300 good ones has such a gain.
EPISODE_STEPS, EPISODE_CORRELATION, EPISODE_GAIN = 15, 0.6, 0.4
# Half an episode. None of 1876 good simulated pieces of this length has such a gain at another lag; some shorter ones
# do. Frames lost halfway are found in four of five episodes, those lost after one or two thirds in one of three.
HALF_STEPS, HALF_CORRELATION, HALF_GAIN = 24, 0.5, 0.4
REMEDY = (
    "Shift frames against states by that many rows and cut both ends, or stamp frames and states with one clock; "
    "an action paired with the wrong image teaches a model the wrong cause."
)


@dataclass(frozen=True, kw_only=True)
class Following:
    """Correlation of image motion and arm motion in one episode.

    Attributes:
        name, number: Name and number of the episode.
        steps: Number of steps.
        correlations: Correlation for each of :data:`LAGS`, NaN where too few steps overlap or nothing moves.
        halves: Correlations of the first and the second half of the steps; empty if these are short.
    """

    name: str
    number: int
    steps: int
    correlations: np.ndarray
    halves: tuple[np.ndarray, ...] = ()


def measure_following(subject: Subject) -> Following:
    """Correlate the image's motion with the arm's; square roots reduce the weight of a few large motions."""
    image = np.sqrt(subject.energy.mean((1, 2)))
    turned = np.linalg.norm(subject.steps[:, ROTATION], axis=1)
    arm = np.sqrt(subject.moved + RADIAN * turned + CLOSING * np.abs(subject.steps[:, GRIPPER]))
    middle = len(arm) // 2
    halves = (slice(0, middle), slice(middle, None)) if middle >= HALF_STEPS else ()
    return Following(
        name=subject.name,
        number=subject.number,
        steps=len(arm),
        correlations=_correlations(image, arm),
        halves=tuple(_correlations(image[half], arm[half]) for half in halves),
    )


def _correlations(image: np.ndarray, arm: np.ndarray) -> np.ndarray:
    return np.array([_correlation(image, arm, lag) for lag in LAGS.tolist()])


def _correlation(image: np.ndarray, arm: np.ndarray, lag: int) -> float:
    """Correlation if frames are ``lag`` rows late."""
    late, early = max(0, lag), max(0, -lag)
    x, y = image[late : len(image) - early], arm[early : len(arm) - late]
    if len(x) < OVERLAP or x.std() < 1e-9 or y.std() < 1e-9:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def shifted_frames(followings: Sequence[Following]) -> list[Finding]:
    """The lag that fits all episodes best, if it isn't 0, and episodes that clearly have another lag, or two lags."""
    findings = []
    common = _common_lag(followings)
    if common is not None:
        lag, gain, before, count = common
        findings.append(
            Finding(
                check="frame offset",
                episode="",
                number=None,
                row=None,
                severity=ERROR,
                what=f"{_direction(lag)} in the whole data set: motion in the image and of the arm correlate by "
                f"{before + gain:.2f} with that shift, by {before:.2f} without (mean of {count} episodes)",
                remedy=REMEDY,
            )
        )
    usual = 0 if common is None else common[0]
    for each in followings:
        lost = _lost_frames(each)
        if lost is not None:
            findings.append(lost)
            continue
        row = each.correlations
        if each.steps < EPISODE_STEPS or np.isnan(row[MAX_LAG]):
            continue
        best = int(np.nanargmax(row))
        if (
            LAGS[best] not in (0, usual)
            and row[best] > EPISODE_CORRELATION
            and row[best] - max(row[MAX_LAG], row[MAX_LAG + usual]) > EPISODE_GAIN
        ):
            findings.append(
                Finding(
                    check="frame offset",
                    episode=each.name,
                    number=each.number,
                    row=None,
                    severity=WARNING,
                    what=f"{_direction(int(LAGS[best]))}: motion in the image and of the arm correlate by "
                    f"{row[best]:.2f} with that shift, by {row[MAX_LAG]:.2f} without",
                    remedy=REMEDY,
                )
            )
    return findings


def _lost_frames(following: Following) -> Finding | None:
    """Lags that differ between the halves of an episode."""
    if not following.halves or any(np.isnan(half).any() for half in following.halves):
        return None
    first, second = following.halves
    before, after = int(np.argmax(first)), int(np.argmax(second))
    gain = min(first[before] - first[after], second[after] - second[before])
    if before == after or min(first[before], second[after]) <= HALF_CORRELATION or gain <= HALF_GAIN:
        return None
    count, middle = abs(after - before), following.steps // 2
    frames = f"{count} frames were" if count > 1 else "1 frame was"
    event = f"about {frames} {'lost' if after < before else 'inserted'} in between"
    return Finding(
        check="lost frames",
        episode=following.name,
        number=following.number,
        row=middle,
        severity=WARNING,
        what=f"{_direction(int(LAGS[before]))} up to row {middle}, and {_direction(int(LAGS[after]))} from there on: "
        f"{event} (motion in the image and of the arm correlate by {first[before]:.2f} and {second[after]:.2f} with "
        f"these shifts, by {first[after]:.2f} and {second[before]:.2f} with each other's)",
        remedy="Find the place (a jump in the image or in the camera's stamps) and cut the episode there, or shift "
        "the frames that follow; an action paired with the wrong image teaches a model the wrong cause.",
    )


def _common_lag(followings: Sequence[Following]) -> tuple[int, float, float, int] | None:
    """Lag, gain, correlation without a shift, and number of episodes; None if no lag is clearly better than 0."""
    known = [each.correlations for each in followings if not np.isnan(each.correlations[MAX_LAG])]
    if len(known) < 3:
        return None
    table = np.array(known)
    found = None
    for place, lag in enumerate(LAGS):
        both = table[~np.isnan(table[:, place])]
        gains = both[:, place] - both[:, MAX_LAG]
        if lag == 0 or len(gains) < 3:
            continue
        gain = float(gains.mean())
        if (
            gain > GAIN
            and gain > CERTAIN * gains.std(ddof=1) / np.sqrt(len(gains))
            and (found is None or gain > found[1])
        ):
            found = (int(lag), gain, float(both[:, MAX_LAG].mean()), len(gains))
    return found


def _direction(lag: int) -> str:
    if lag == 0:
        return "frames fit the states"
    rows = f"{abs(lag)} row{'s' if abs(lag) > 1 else ''}"
    return f"frames are {rows} late against the states" if lag > 0 else f"frames are {rows} early against the states"
