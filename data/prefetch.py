"""Prefetching: make the next items in the background while the current one is used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 2  # items ahead: one suffices for an even pace, two for an uneven one


class Ahead(Generic[T]):
    """Items numbered 0, 1, 2, …, each made in the background before it is needed.

    An item depends on its number alone, not on when it is made.
    """

    def __init__(self, make: Callable[[int], T]):
        """
        Args:
            make: Makes the item of a number; called in a background thread.
        """
        self._make = make
        self._pool = ThreadPoolExecutor(1)
        self._waiting: dict[int, Future[T]] = {}

    def take(self, number: int, end: int) -> T:
        """An item; the next ones, before ``end``, are begun. Raises the error of ``make``, if any."""
        for each in range(number, min(number + 1 + DEPTH, end)):
            if each not in self._waiting:
                self._waiting[each] = self._pool.submit(self._make, each)
        return self._waiting.pop(number).result()
