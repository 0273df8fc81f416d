"""Sub-goals changed by the clock, as in the paper: each has its number of steps."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation


class SubgoalClock:
    """Which goal is due at each step of an episode; the last one stays."""

    def __init__(self, goals: list[Goal]):
        """
        Args:
            goals: in order.

        Raises:
            UserError: there are none, or they are no goals.
        """
        if not goals or not all(isinstance(goal, Goal) for goal in goals):
            raise UserError(
                "begin() takes at least one vjepa_sim.envs.observation.Goal: info['goals'] after a reset, or "
                "[Goal(rgb=image, steps=10)] for an image of your own."
            )
        self._shapes = [goal.rgb.shape for goal in goals]
        self._deadlines = np.cumsum([goal.steps for goal in goals])
        self._step = 0

    def due(self, observation: Observation) -> int:
        """Number of the goal that is due now; the next call is one step later.

        Raises:
            UserError: what is given is no observation, or its picture has another shape than the goals'.
        """
        if not isinstance(observation, Observation):
            raise UserError(
                f"act() takes an vjepa_sim.envs.observation.Observation, such as env.unwrapped.observation; a "
                f"{type(observation).__name__} was given."
            )
        height, width, _ = observation.rgb.shape
        for goal_height, goal_width, _ in self._shapes:
            if height * goal_width != width * goal_height:
                raise UserError(
                    f"The camera's pictures have {width} × {height} pixels, the goal's {goal_width} × {goal_height}: "
                    "they can't show the same view. Capture goals with this camera: vjepa-sim capture-goal."
                )
        number = int(np.searchsorted(self._deadlines, self._step, side="right"))
        self._step += 1
        return min(number, len(self._deadlines) - 1)
