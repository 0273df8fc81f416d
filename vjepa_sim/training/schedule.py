"""How a number changes over a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from vjepa_sim.checks import check_choice


@dataclass(frozen=True)
class Schedule:
    """From ``start`` up to ``peak``, there for a while, and down to ``end``.

    Attributes:
        start, peak, end: the values.
        warmup: steps from start to peak.
        decay: steps at the end of the run from peak to end; None for all that follow the warm-up.
        shape: of the decay, ``linear`` or ``cosine``.
    """

    start: float
    peak: float
    end: float
    warmup: int = 0
    decay: int | None = None
    shape: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        check_choice(self, "shape", ("linear", "cosine"))

    def at(self, step: int, steps: int) -> float:
        """The value at one of a run's steps, counted from 0."""
        if step < self.warmup:
            return self.start + (self.peak - self.start) * step / self.warmup
        decay = steps - self.warmup if self.decay is None else self.decay
        phase = min(1.0, max(0.0, (step - (steps - decay)) / decay)) if decay else 0.0
        if self.shape == "cosine":
            phase = 0.5 - 0.5 * math.cos(math.pi * phase)
        return self.peak + (self.end - self.peak) * phase

    def scaled(self, peak: float) -> Schedule:
        """The same course to another peak."""
        factor = peak / self.peak
        return replace(self, start=self.start * factor, peak=peak, end=self.end * factor)

    def shortened(self, ratio: float) -> Schedule:
        """The same course over a run whose length is multiplied by ``ratio``."""
        decay = None if self.decay is None else max(1, round(self.decay * ratio))
        return replace(self, warmup=round(self.warmup * ratio), decay=decay)


def constant(value: float) -> Schedule:
    """A number that doesn't change."""
    return Schedule(value, value, value)
