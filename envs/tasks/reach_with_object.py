"""Reach with object: carry the object, which is held at the start, to its position in the goal image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.pose import POSITION
from vjepa_sim.envs.tasks.grasping import carry, grasp_at_once, is_held
from vjepa_sim.envs.tasks.task import MAX_DRAWS, START_HIGH, START_LOW, Task, capture, far_point, place_object_at_random

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

MIN_DISTANCE = 0.10  # m between start and goal


class ReachWithObject(Task):
    """Success: the object is held by both fingers, less than 4 cm from its position in the goal image.

    The error is that distance, metres. Measurements: the object's position [3], metres, and 1 while it is held, else 0.
    """

    name = "reach-with-object"
    title = "ReachWithObject"
    budget = 10
    instruction = "carry the object to the goal"
    measures = ("x", "y", "z", "held")
    tolerance = 0.04
    grasps = True

    def reset(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """See :meth:`Task.reset`."""
        for _ in range(MAX_DRAWS):
            place_object_at_random(simulation, rng)
            if not grasp_at_once(simulation):
                continue
            carry(simulation, rng.uniform(START_LOW, START_HIGH))
            start = simulation.save()
            carry(
                simulation,
                far_point(rng, START_LOW, START_HIGH, others=[simulation.target[POSITION]], distance=MIN_DISTANCE),
            )
            if is_held(simulation):
                break
        else:
            raise RuntimeError("No object could be carried: the scene is broken.")
        self.desired = self.achieved(simulation)
        goal = capture(simulation, render, self.budget, "carried")
        simulation.restore(start)
        return [goal]

    def achieved(self, simulation: Simulation) -> np.ndarray:
        """See :meth:`Task.achieved`."""
        return np.array([*simulation.object_position(), float(is_held(simulation))])

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.is_success`."""
        return (achieved[..., 3] == 1.0) & (self.error(achieved, desired) < self.tolerance)

    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.error`."""
        return np.linalg.norm(achieved[..., :3] - desired[..., :3], axis=-1)
