"""Pick and place: take the object and stand it somewhere else."""

from __future__ import annotations

import numpy as np

from envs.grasping import LIFT, carry, grasp_at_once, is_held
from envs.observation import Goal
from envs.pose import GRIPPER, POSITION
from envs.simulation import Simulation
from envs.tasks.grasp import GRASP_GOALS
from envs.tasks.task import (
    MAX_DRAWS,
    OBJECT_HIGH,
    OBJECT_LOW,
    Progress,
    Task,
    capture,
    far_point,
    place_object_at_random,
    start_hand_at_random,
)

MIN_DISTANCE = 0.10  # m between the object's start and its place
NEAR = 0.05  # m that the object hangs above its place in the second sub-goal image


class PickAndPlace(Task):
    """Success: the object rests within 4.5 cm of its place, released, still (under 3 cm/s), and upright.

    The error is the object's horizontal distance to its place, metres. Three sub-goal images, as in the V-JEPA 2
    paper: the object grasped, near its place, and placed.
    """

    name = "pick-and-place"
    budget = 34  # 16 to grasp, 10 to carry, 8 to place
    instruction = "pick up the object and place it at the goal"
    tolerance = 0.045
    max_height_error = 0.01
    max_speed = 0.03
    min_upright = 0.95  # cosine of the tilt

    def reset(self, simulation: Simulation, rng: np.random.Generator, look) -> list[Goal]:
        """See :meth:`Task.reset`."""
        for _ in range(MAX_DRAWS):
            place_object_at_random(simulation, rng)
            self.place = far_point(rng, OBJECT_LOW, OBJECT_HIGH, [simulation.object_position()], MIN_DISTANCE)
            start_hand_at_random(simulation, rng)
            start = simulation.save()
            self._rest_height = simulation.object_position()[2]
            goals = self._demonstrate(simulation, look)
            if goals and self.measure(simulation).success:
                break
        else:
            raise RuntimeError("No object could be placed: the scene is broken.")
        simulation.restore(start)
        return goals

    def _demonstrate(self, simulation: Simulation, look) -> list[Goal]:
        """Do the task at once and photograph it on the way; empty if the object was lost."""
        goals: list[Goal] = []
        if not grasp_at_once(simulation, lambda moment: goals.append(capture(simulation, look, *GRASP_GOALS[moment]))):
            return []
        flange = simulation.target[POSITION].copy()
        flange[:2] += self.place - simulation.object_position()[:2]
        carry(simulation, flange)
        flange[2] -= LIFT - NEAR
        carry(simulation, flange)
        if not is_held(simulation):
            return []
        goals.append(capture(simulation, look, 10, "near"))
        flange[2] -= NEAR
        carry(simulation, flange)
        goals.append(capture(simulation, look, 3, "+lowered"))
        released = simulation.target.copy()
        released[GRIPPER] = 0.0
        simulation.advance(released)
        simulation.advance(released)
        goals.append(capture(simulation, look, 2, "+released"))
        flange[2] += LIFT
        carry(simulation, flange)
        goals.append(capture(simulation, look, 3, "placed"))
        return goals

    def measure(self, simulation: Simulation) -> Progress:
        """See :meth:`Task.measure`."""
        position = simulation.object_position()
        error = float(np.linalg.norm(position[:2] - self.place))
        success = (
            error < self.tolerance
            and abs(position[2] - self._rest_height) < self.max_height_error
            and simulation.fingers_touching() == 0
            and simulation.object_speed() < self.max_speed
            and simulation.object_matrix()[2, 2] > self.min_upright
        )
        return Progress(success=success, error=error)
