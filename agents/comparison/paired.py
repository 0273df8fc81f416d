"""Two agents on the same episodes: which of them solved what the other did not, and whether that can be chance."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

SIGNIFICANCE, POWER = 0.05, 0.8
MOST = 100_000  # episodes that anybody could still score; beyond, a number would say nothing


@dataclass(frozen=True)
class Paired:
    """How many shared episodes were solved by whom.

    Attributes:
        both, only_first, only_second, neither: numbers of episodes.
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, first: dict[Hashable, bool], second: dict[Hashable, bool]) -> Paired:
        """Count the episodes that both have.

        Args:
            first, second: success by seed, or by whatever else tells episodes apart.
        """
        outcomes = [(first[episode], second[episode]) for episode in first.keys() & second.keys()]
        return cls(*(outcomes.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))

    @property
    def n(self) -> int:
        """How many episodes are shared."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def points(self) -> float:
        """By how many of a hundred shared episodes the second is better."""
        return 100 * (self.only_second - self.only_first) / self.n

    @property
    def p_value(self) -> float:
        """McNemar's exact test, two-sided: how likely so uneven a split of the differing episodes is by chance."""
        from scipy.stats import binomtest

        differing = self.only_first + self.only_second
        return float(binomtest(self.only_first, differing).pvalue) if differing else 1.0

    def more_to_tell(self) -> int | None:
        """Episodes needed besides these to tell the two apart, if their rates stay as they are here.

        So many that the exact test at 5 % finds the difference in 80 % of all cases, to 2 %. 0 if they can be told
        apart already, None if they are even here: no number would do. :data:`MOST` stands for that many and more.
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
    """How likely so uneven a split of all cells' episodes is by chance, two-sided and exact.

    Cells share their starts, so that a seed's episodes aren't independent of each other: the two agents may be
    exchanged start by start, not episode by episode. With one cell it is McNemar's test.

    Args:
        first, second: success by task, object and seed; what only one of them has doesn't count.
    """
    uneven: dict[int, int] = {}  # by how many episodes of a start the second is better
    for episode in first.keys() & second.keys():
        uneven[episode[2]] = uneven.get(episode[2], 0) + int(second[episode]) - int(first[episode])
    likely = np.ones(1)  # of each sum of differences, from the lowest to the highest, if every sign is a toss
    for size in filter(None, map(abs, uneven.values())):
        likely = np.convolve(likely, [0.5, *[0.0] * (2 * size - 1), 0.5])
    sums = np.arange(len(likely)) - len(likely) // 2
    return float(min(1.0, likely[np.abs(sums) >= abs(sum(uneven.values()))].sum()))


def _power(n: int, differing: float, uneven: float) -> float:
    """How often McNemar's exact test on n episodes finds a difference.

    Args:
        n: episodes.
        differing: share of them that one agent solves and the other doesn't.
        uneven: share of those that the better one solves.
    """
    from scipy.stats import binom

    low, high = binom.interval(1 - 1e-12, n, differing)
    counts = np.arange(low, high + 1)  # of episodes that differ; others are as good as impossible
    most = binom.ppf(SIGNIFICANCE / 2, counts, 0.5) - 1  # that the worse may solve of them, and the test still finds it
    found = binom.cdf(most, counts, 1 - uneven) + binom.cdf(most, counts, uneven)
    return float((binom.pmf(counts, n, differing) * found).sum())
