"""Make the next thing while the present one is used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 2  # things that wait: one hides an even pace, two also hide an uneven one


class Ahead(Generic[T]):
    """Things numbered 0, 1, 2, …, each made in the background before it is asked for.

    Each depends on its number alone, so when it was made makes no difference.
    """

    def __init__(self, make: Callable[[int], T]):
        """
        Args:
            make: called with a number, in a thread of its own.
        """
        self._make = make
        self._pool = ThreadPoolExecutor(1)
        self._waiting: dict[int, Future[T]] = {}

    def take(self, number: int, end: int) -> T:
        """One thing; the next ones, before ``end``, are begun. An error in its making is raised here."""
        for each in range(number, min(number + 1 + DEPTH, end)):
            if each not in self._waiting:
                self._waiting[each] = self._pool.submit(self._make, each)
        return self._waiting.pop(number).result()
