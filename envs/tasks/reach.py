"""Reach: move the end effector to its position in the goal image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.pose import POSITION
from vjepa_sim.envs.tasks.grasping import pointing_down
from vjepa_sim.envs.tasks.task import START_YAW, Task, capture, far_point, place_object_at_random, start_arm_at_random

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

GOAL_LOW, GOAL_HIGH = np.array([0.38, -0.20, 0.20]), np.array([0.58, 0.20, 0.38])
MIN_DISTANCE = 0.10  # m between start and goal
CLEARANCE = 0.09  # m, horizontal distance between the goal and the object


class Reach(Task):
    """Success: the end effector (the flange) is less than 4 cm from its position in the goal image.

    The error is that distance, metres. Measurements: the flange's position [3], metres. The object is not used.
    """

    name = "reach"
    title = "Reach"
    budget = 10
    instruction = "move the gripper to the goal"
    measures = ("x", "y", "z")
    ranges = (*Task.ranges, (GOAL_LOW, GOAL_HIGH))
    tolerance = 0.04

    def reset(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """See :meth:`Task.reset`."""
        place_object_at_random(simulation, rng)
        start_arm_at_random(simulation, rng)
        start = simulation.save()
        above_object = simulation.object_position()[:2]
        while True:
            position = far_point(rng, GOAL_LOW, GOAL_HIGH, others=[simulation.target[POSITION]], distance=MIN_DISTANCE)
            if np.linalg.norm(position[:2] - above_object) >= CLEARANCE:
                break
        yaw = float(rng.uniform(-START_YAW, START_YAW))
        simulation.place_flange(pointing_down(position, yaw, 0.0, simulation.gripper))
        self.desired = self.achieved(simulation)
        goal = capture(simulation, render, self.budget, "reached")
        simulation.restore(start)
        return [goal]

    def achieved(self, simulation: Simulation) -> np.ndarray:
        """See :meth:`Task.achieved`."""
        return simulation.state()[POSITION].astype(np.float64)

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.is_success`."""
        return self.error(achieved, desired) < self.tolerance

    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.error`."""
        return np.linalg.norm(achieved - desired, axis=-1)
