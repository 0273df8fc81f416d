"""Sub-goals that last a fixed number of steps each, as in V-JEPA 2-AC."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation


class SubgoalClock:
    """Counts the steps of an episode: each sub-goal lasts its number of steps, the last one until the end."""

    def __init__(self, goals: list[Goal]):
        """
        Args:
            goals: sub-goals, in order.

        Raises:
            UserError: there are none, or one is not a :class:`.Goal`.
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
        """Index of the current goal. Each call counts one step.

        Raises:
            UserError: the argument is no :class:`.Observation`, or its image has another aspect ratio than the goals'.
        """
        if not isinstance(observation, Observation):
            raise UserError(
                f"act() takes a vjepa_sim.envs.observation.Observation, such as env.unwrapped.observation; a "
                f"{type(observation).__name__} was given."
            )
        height, width, _ = observation.rgb.shape
        for goal_height, goal_width, _ in self._shapes:
            if height * goal_width != width * goal_height:
                raise UserError(
                    f"The camera's images have {width} × {height} pixels, the goal's {goal_width} × {goal_height}: "
                    "they can't show the same view. Capture goals with this camera: vjepa-sim capture-goal."
                )
        number = int(np.searchsorted(self._deadlines, self._step, side="right"))
        self._step += 1
        return min(number, len(self._deadlines) - 1)
