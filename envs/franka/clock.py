"""For how long a robot has been silent."""

from __future__ import annotations

import time

from vjepa_sim.envs.faults import ConnectionLost

SILENCE = 0.75  # s: before libfranka gives up, which it does after 1
PAUSE = 0.1  # s
LONGEST_STEP = 2.0  # periods of a reference; after a pause it goes on where it was, without a jump


class ClockWatch:
    """Watches a robot's own clock, which stands still when only old copies of its state are left.

    Only time counts in which this program looked: if the whole computer stood still, the robot may have spoken
    meanwhile. So between two looks at most 0.1 s have passed.

    Attributes:
        age: seconds for which the clock has stood still.
    """

    def __init__(self, clock: float):
        """
        Args:
            clock: seconds, what the robot's clock shows now.
        """
        self.age = 0.0
        self._clock, self._looked_at = clock, time.monotonic()

    def look(self, clock: float) -> float:
        """Compare what the robot's clock shows; returns the new :attr:`age`.

        Raises:
            ConnectionLost: it has stood still for 0.75 s.
        """
        now = time.monotonic()
        self.age = 0.0 if clock != self._clock else self.age + min(now - self._looked_at, PAUSE)
        self._clock, self._looked_at = clock, now
        if self.age > SILENCE:
            raise ConnectionLost(f"Nothing new has come from the robot in {self.age:.2f} s.", "silence", self.age)
        return self.age
