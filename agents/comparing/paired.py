"""Two agents on the same episodes: which of them solved what the other did not, and whether that can be chance."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

CONFIDENCE, POWER = 0.95, 0.8


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

        After Connor (1987), for a test at 5 % that finds the difference in 80 % of all cases; the exact test needs slightly
        more. 0 if they can be told apart already, None if they are even here: no number would do.
        """
        from scipy.stats import norm

        if self.p_value < 1 - CONFIDENCE:
            return 0
        if self.only_first == self.only_second:
            return None
        differing = (self.only_first + self.only_second) / self.n
        difference = abs(self.only_first - self.only_second) / self.n
        sure, find = norm.ppf((1 + CONFIDENCE) / 2), norm.ppf(POWER)
        root = sure * math.sqrt(differing) + find * math.sqrt(differing - difference**2)
        return max(1, math.ceil((root / difference) ** 2) - self.n)
