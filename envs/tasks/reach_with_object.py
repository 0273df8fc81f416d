"""Reach with object: the object is in the hand; carry it to where it is in the goal image."""

from __future__ import annotations

import numpy as np

from envs.grasping import carry, grasp_at_once, is_held
from envs.observation import Goal
from envs.pose import POSITION
from envs.simulation import Simulation
from envs.tasks.task import MAX_DRAWS, START_HIGH, START_LOW, Progress, Task, capture, far_point, place_object_at_random

MIN_DISTANCE = 0.10  # m between start and goal


class ReachWithObject(Task):
    """Success: the object is held by both fingers, less than 4 cm from its place in the goal image.

    The error is that distance, metres.
    """

    name = "reach-with-object"
    budget = 10
    instruction = "carry the object to the goal"
    tolerance = 0.04

    def reset(self, simulation: Simulation, rng: np.random.Generator, look) -> list[Goal]:
        """See :meth:`Task.reset`."""
        for _ in range(MAX_DRAWS):
            place_object_at_random(simulation, rng)
            if not grasp_at_once(simulation):
                continue
            carry(simulation, rng.uniform(START_LOW, START_HIGH))
            start = simulation.save()
            carry(simulation, far_point(rng, START_LOW, START_HIGH, [simulation.target[POSITION]], MIN_DISTANCE))
            if is_held(simulation):
                break
        else:
            raise RuntimeError("No object could be carried: the scene is broken.")
        self._goal = simulation.object_position()
        goal = capture(simulation, look, self.budget, "carried")
        simulation.restore(start)
        return [goal]

    def measure(self, simulation: Simulation) -> Progress:
        """See :meth:`Task.measure`."""
        error = float(np.linalg.norm(simulation.object_position() - self._goal))
        return Progress(success=is_held(simulation) and error < self.tolerance, error=error)
