"""Timing in turn, so that drifts of the machine's speed affect all methods alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Mean wall time of a call in seconds, over ``repeats`` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        action()
    return (time.perf_counter() - start) / repeats


def in_turn(actions: dict[str, Callable[[], object]], rounds: int, repeats: int = 1) -> dict[str, np.ndarray]:
    """Time actions one after the other in every round, after one warm-up call each.

    Args:
        actions: functions to time, by name.
        rounds: number of rounds.
        repeats: calls per round.

    Returns:
        Seconds per call [rounds] of each action.
    """
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action, repeats))
    return {name: np.array(values) for name, values in times.items()}
