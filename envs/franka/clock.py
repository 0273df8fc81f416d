"""Detection of a robot that has gone silent."""

from __future__ import annotations

import time

from vjepa_sim.envs.faults import ConnectionLost

SILENCE = 0.75  # s: less than libfranka's own limit, which is 1
PAUSE = 0.1  # s
LONGEST_STEP = 2.0  # control periods; after a pause the reference continues where it was, without a jump


class ClockWatch:
    """Watches a robot's own clock, which stands still when its state is no longer updated.

    If the whole computer stood still, the robot may have sent states meanwhile. So at most 0.1 s are counted between
    two calls of :meth:`update`.

    Attributes:
        age: seconds for which the clock has stood still.
    """

    def __init__(self, clock: float):
        """
        Args:
            clock: present time of the robot's clock, seconds.
        """
        self.age = 0.0
        self._clock, self._updated_at = clock, time.monotonic()

    def update(self, clock: float) -> float:
        """Compare the present time of the robot's clock, seconds; returns the new :attr:`age`.

        Raises:
            ConnectionLost: the clock has stood still for 0.75 s.
        """
        now = time.monotonic()
        self.age = 0.0 if clock != self._clock else self.age + min(now - self._updated_at, PAUSE)
        self._clock, self._updated_at = clock, now
        if self.age > SILENCE:
            raise ConnectionLost(f"No new state has come from the robot in {self.age:.2f} s.", "silence", self.age)
        return self.age
