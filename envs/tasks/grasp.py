"""Grasp: pick up the object from the table and hold it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.tasks.grasping import grasp_at_once, grasp_distance, is_held
from vjepa_sim.envs.tasks.task import MAX_DRAWS, Task, capture, place_object_at_random, start_arm_at_random

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

HOLD_SECONDS = 1.0
# Share of a control period by which the time held may fall short: the nearest whole number of periods counts.
SHORT = 0.49
MIN_LIFT = 0.05  # m
# Goals captured while the object is grasped: control steps and name.
GRASP_GOALS = {"at object": (7, "+at object"), "closed": (3, "+closed"), "grasped": (6, "grasped")}


class Grasp(Task):
    """Success: the object is lifted more than 5 cm and has been held by both fingers for the last second.

    The error is the distance of the object to its position in the goal image, metres. Measurements: the object's
    position [3], metres, the seconds for which it has been held and lifted, and the distance from the flange to its
    grasp pose, metres.
    """

    name = "grasp"
    title = "Grasp"
    budget = 16
    instruction = "pick up the object"
    measures = ("x", "y", "z", "seconds held", "distance")
    grasps = True

    def reset(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """See :meth:`Task.reset`."""
        for _ in range(MAX_DRAWS):
            place_object_at_random(simulation, rng)
            start_arm_at_random(simulation, rng)
            start = simulation.save()
            goals = []

            def keep(moment: str, goals: list[Goal] = goals) -> None:
                goals.append(capture(simulation, render, *GRASP_GOALS[moment]))

            if grasp_at_once(simulation, keep):
                break
        else:
            raise RuntimeError("No object could be grasped: the scene is broken.")
        hold_seconds = HOLD_SECONDS - SHORT * simulation.period
        self.desired = np.array([*simulation.object_position(), hold_seconds, 0.0])
        simulation.restore(start)
        self._rest_height = simulation.object_position()[2]
        self._held = 0
        return goals

    def achieved(self, simulation: Simulation) -> np.ndarray:
        """See :meth:`Task.achieved`."""
        position = simulation.object_position()
        lifted = position[2] - self._rest_height > MIN_LIFT
        self._held = self._held + 1 if lifted and is_held(simulation) else 0
        held_seconds = (self._held - 1) * simulation.period  # n observations in a row span n - 1 periods
        return np.array([*position, held_seconds, grasp_distance(simulation)])

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.is_success`."""
        return achieved[..., 3] >= desired[..., 3]

    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.error`."""
        return np.linalg.norm(achieved[..., :3] - desired[..., :3], axis=-1)

    def dense_reward(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.dense_reward`; the distance to the object is subtracted as well."""
        return super().dense_reward(achieved, desired) - achieved[..., 4]
