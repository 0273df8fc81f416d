"""Schedules of learning rate, weight decay and moving average over a training run."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

from vjepa_sim.checks import check_choice


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up from ``start`` to ``peak``, a constant phase, and a decay to ``end``.

    Attributes:
        start, peak, end: Values at the first step, after the warm-up, and after the last step.
        warmup: Number of steps of the warm-up.
        decay: Number of steps of the decay, at the end of the run; None for all steps after the warm-up.
        shape: Shape of the decay, ``linear`` or ``cosine``.
    """

    start: float
    peak: float
    end: float
    _: KW_ONLY
    warmup: int = 0
    decay: int | None = None
    shape: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        check_choice(self, "shape", ("linear", "cosine"))

    def at(self, step: int, steps: int) -> float:
        """Value at a step, counted from 0, of a run of ``steps``."""
        if step < self.warmup:
            return self.start + (self.peak - self.start) * step / self.warmup
        decay = steps - self.warmup if self.decay is None else self.decay
        phase = min(1.0, max(0.0, (step - (steps - decay)) / decay)) if decay else 0.0
        if self.shape == "cosine":
            phase = 0.5 - 0.5 * math.cos(math.pi * phase)
        return self.peak + (self.end - self.peak) * phase

    def scaled(self, peak: float) -> Schedule:
        """Scale all values so that the peak has another value."""
        factor = peak / self.peak
        return replace(self, start=self.start * factor, peak=peak, end=self.end * factor)

    def shortened(self, ratio: float) -> Schedule:
        """Stretch the schedule to a run whose length is multiplied by ``ratio``."""
        decay = None if self.decay is None else max(1, round(self.decay * ratio))
        return replace(self, warmup=round(self.warmup * ratio), decay=decay)


def constant(value: float) -> Schedule:
    """Schedule with the same value at all steps."""
    return Schedule(value, value, value)
