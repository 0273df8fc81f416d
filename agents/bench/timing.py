"""Timing in turn, so that a machine whose speed drifts treats all sides alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Mean wall seconds of one call over ``repeats`` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        action()
    return (time.perf_counter() - start) / repeats


def in_turn(actions: dict[str, Callable[[], object]], rounds: int, repeats: int = 1) -> dict[str, np.ndarray]:
    """Seconds per call [rounds] of each action, timed one after the other in every round, after one warm-up."""
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action, repeats))
    return {name: np.array(values) for name, values in times.items()}
