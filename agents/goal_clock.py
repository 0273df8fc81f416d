"""Sub-goals changed by the clock, as in the paper: each has its number of steps."""

from __future__ import annotations

import numpy as np

from envs.errors import UserError
from envs.observation import Goal


class GoalClock:
    """Tells which goal is due at each step of an episode; the last one stays."""

    def __init__(self, goals: list[Goal]):
        """
        Args:
            goals: in order.

        Raises:
            UserError: there are none, or they are no goals.
        """
        if not goals or not all(isinstance(goal, Goal) for goal in goals):
            raise UserError(
                "begin() takes at least one envs.observation.Goal: info['goals'] after a reset, or [Goal(rgb=image, "
                "steps=10)] for a picture of your own."
            )
        self._deadlines = np.cumsum([goal.steps for goal in goals])
        self._step = 0

    def tick(self) -> int:
        """Number of the goal that is due now; the next call is one step later."""
        due = int(np.searchsorted(self._deadlines, self._step, side="right"))
        self._step += 1
        return min(due, len(self._deadlines) - 1)
