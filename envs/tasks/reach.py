"""Reach: bring the end effector to where it is in the goal image."""

from __future__ import annotations

import numpy as np

from envs.grasping import pointing_down
from envs.observation import Goal
from envs.pose import POSITION
from envs.simulation import Simulation
from envs.tasks.task import START_YAW, Progress, Task, capture, far_point, place_object_at_random, start_hand_at_random

GOAL_LOW, GOAL_HIGH = np.array([0.38, -0.20, 0.20]), np.array([0.58, 0.20, 0.38])
MIN_DISTANCE = 0.10  # m between start and goal
CLEARANCE = 0.09  # m between the goal and the object, seen from above


class Reach(Task):
    """Success: the end effector (the flange) is less than 4 cm from its place in the goal image.

    The error is that distance. The object only stands in the scene.
    """

    name = "reach"
    budget = 10
    instruction = "move the gripper to the goal"
    tolerance = 0.04

    def reset(self, simulation: Simulation, rng: np.random.Generator, look) -> list[Goal]:
        """See :meth:`Task.reset`."""
        place_object_at_random(simulation, rng)
        start_hand_at_random(simulation, rng)
        start = simulation.save()
        above_object = simulation.object_position()[:2]
        while True:
            position = far_point(rng, GOAL_LOW, GOAL_HIGH, [simulation.target[POSITION]], MIN_DISTANCE)
            if np.linalg.norm(position[:2] - above_object) >= CLEARANCE:
                break
        yaw = float(rng.uniform(-START_YAW, START_YAW))
        simulation.place_flange(pointing_down(position, yaw, 0.0, simulation.gripper))
        self._goal = simulation.state()[POSITION].astype(np.float64)
        goal = capture(simulation, look, self.budget, "reached")
        simulation.restore(start)
        return [goal]

    def measure(self, simulation: Simulation) -> Progress:
        """See :meth:`Task.measure`."""
        error = float(np.linalg.norm(simulation.state()[POSITION] - self._goal))
        return Progress(success=error < self.tolerance, error=error)
