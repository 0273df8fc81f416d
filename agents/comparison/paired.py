"""Paired comparison of two agents on the same episodes: counts and exact tests."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)

SIGNIFICANCE, POWER = 0.05, 0.8
MOST = 100_000  # upper bound of the number of further episodes that is computed


@dataclass(frozen=True)
class Paired:
    """Numbers of shared episodes that both, one or none of two agents solved.

    Attributes:
        both, only_first, only_second, neither: numbers of episodes.
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, first: Mapping[Key, bool], second: Mapping[Key, bool]) -> Paired:
        """Count the episodes that both have.

        Args:
            first, second: success of each agent, by seed or another key that identifies an episode.
        """
        outcomes = [(first[episode], second[episode]) for episode in first.keys() & second.keys()]
        return cls(*(outcomes.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))

    @property
    def n(self) -> int:
        """Number of shared episodes."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def points(self) -> float:
        """Success rate of the second agent less that of the first, in percentage points."""
        return 100 * (self.only_second - self.only_first) / self.n

    @property
    def p_value(self) -> float:
        """p of McNemar's exact test, two-sided."""
        from scipy.stats import binomtest

        differing = self.only_first + self.only_second
        return float(binomtest(self.only_first, differing).pvalue) if differing else 1.0

    def more_to_tell(self) -> int | None:
        """Number of further episodes for a significant difference, if the rates stay as they are.

        Returns:
            Episodes with which the exact test at 5 % has 80 % power, to 2 %; 0 if the difference is significant
            already, None if there is none, and :data:`MOST` for that number or more.
        """
        if self.p_value < SIGNIFICANCE:
            return 0
        if self.only_first == self.only_second:
            return None
        differing = self.only_first + self.only_second
        n = self.n + 1
        while _power(n, differing / self.n, max(self.only_first, self.only_second) / differing) < POWER:
            n = math.ceil(1.02 * n)
            if n - self.n >= MOST:
                return MOST
        return n - self.n


def p_over_starts(first: dict[tuple[Any, Any, int], bool], second: dict[tuple[Any, Any, int], bool]) -> float:
    """p of an exact permutation test of two agents over all tasks and objects, two-sided.

    Episodes of one seed share their start over tasks and objects and are not independent. So agents are exchanged start
    by start, not episode by episode. With one task and object it is McNemar's test.

    Args:
        first, second: success of each agent by task, object and seed; unshared episodes are ignored.
    """
    uneven: dict[int, int] = {}  # successes of the second less those of the first, by start
    for episode in first.keys() & second.keys():
        uneven[episode[2]] = uneven.get(episode[2], 0) + int(second[episode]) - int(first[episode])
    likely = np.ones(1)  # distribution of the sum of differences with random signs, from the lowest to the highest
    for size in filter(None, map(abs, uneven.values())):
        likely = np.convolve(likely, [0.5, *[0.0] * (2 * size - 1), 0.5])
    sums = np.arange(len(likely)) - len(likely) // 2
    return float(min(1.0, likely[np.abs(sums) >= abs(sum(uneven.values()))].sum()))


def _power(n: int, differing: float, uneven: float) -> float:
    """Power of McNemar's exact test.

    Args:
        n: number of episodes.
        differing: share of episodes that exactly one agent solves.
        uneven: share of those that the better one solves.
    """
    from scipy.stats import binom

    low, high = binom.interval(1 - 1e-12, n, differing)
    counts = np.arange(low, high + 1)  # of episodes that differ; other numbers have negligible probability
    most = binom.ppf(SIGNIFICANCE / 2, counts, 0.5) - 1  # successes of the worse at which the test is still significant
    found = binom.cdf(most, counts, 1 - uneven) + binom.cdf(most, counts, uneven)
    return float((binom.pmf(counts, n, differing) * found).sum())
