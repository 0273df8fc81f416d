"""Pick and place: pick up the object and place it upright at the goal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.pose import GRIPPER, POSITION
from vjepa_sim.envs.tasks.grasp import GRASP_GOALS
from vjepa_sim.envs.tasks.grasping import LIFT, carry, grasp_at_once, grasp_distance, is_held
from vjepa_sim.envs.tasks.task import (
    MAX_DRAWS,
    OBJECT_HIGH,
    OBJECT_LOW,
    Task,
    capture,
    far_point,
    place_object_at_random,
    start_arm_at_random,
)

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

MIN_DISTANCE = 0.10  # m between the object's start and goal
NEAR = 0.05  # m, height of the object above its goal in the second sub-goal image


class PickAndPlace(Task):
    """Success: the object stands within 4.5 cm of its goal, released, still (under 3 cm/s), and upright.

    The error is the object's horizontal distance to its goal, metres. Three sub-goal images, as in the V-JEPA 2
    paper: the object grasped, near its goal, and placed. Measurements: the object's position [3], metres, the number of
    fingers that touch it, its speed in m/s, the cosine of its tilt, and the distance from the flange to its grasp pose,
    metres.
    """

    name = "pick-and-place"
    title = "PickAndPlace"
    budget = 34  # 16 to grasp, 10 to carry, 8 to place
    instruction = "pick up the object and place it at the goal"
    measures = ("x", "y", "z", "touching", "speed", "upright", "distance")
    grasps = True
    tolerance = 0.045
    max_height_error = 0.01
    max_speed = 0.03
    min_upright = 0.95  # cosine of the tilt

    def reset(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """See :meth:`Task.reset`."""
        for _ in range(MAX_DRAWS):
            place_object_at_random(simulation, rng)
            place = far_point(
                rng, OBJECT_LOW, OBJECT_HIGH, others=[simulation.object_position()], distance=MIN_DISTANCE
            )
            start_arm_at_random(simulation, rng)
            start = simulation.save()
            self.desired = np.array([*place, simulation.object_position()[2], 0.0, 0.0, 1.0, 0.0])
            goals = self._demonstrate(simulation, render)
            if goals and self.measure(simulation).success:
                break
        else:
            raise RuntimeError("No object could be placed: the scene is broken.")
        simulation.restore(start)
        return goals

    def _demonstrate(self, simulation: Simulation, render: Callable[[], np.ndarray]) -> list[Goal]:
        """Do the task and capture its goals on the way; empty if the object was lost."""
        goals: list[Goal] = []
        if not grasp_at_once(
            simulation, lambda moment: goals.append(capture(simulation, render, *GRASP_GOALS[moment]))
        ):
            return []
        flange = simulation.target[POSITION].copy()
        flange[:2] += self.desired[:2] - simulation.object_position()[:2]
        carry(simulation, flange)
        flange[2] -= LIFT - NEAR
        carry(simulation, flange)
        if not is_held(simulation):
            return []
        goals.append(capture(simulation, render, 10, "near"))
        flange[2] -= NEAR
        carry(simulation, flange)
        goals.append(capture(simulation, render, 3, "+lowered"))
        released = simulation.target.copy()
        released[GRIPPER] = 0.0
        simulation.advance(released)
        simulation.advance(released)
        goals.append(capture(simulation, render, 2, "+released"))
        flange[2] += LIFT
        carry(simulation, flange)
        goals.append(capture(simulation, render, 3, "placed"))
        return goals

    def achieved(self, simulation: Simulation) -> np.ndarray:
        """See :meth:`Task.achieved`."""
        return np.array(
            [
                *simulation.object_position(),
                simulation.fingers_touching(),
                simulation.object_speed(),
                simulation.object_matrix()[2, 2],
                grasp_distance(simulation),
            ]
        )

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.is_success`."""
        return (
            (self.error(achieved, desired) < self.tolerance)
            & (np.abs(achieved[..., 2] - desired[..., 2]) < self.max_height_error)
            & (achieved[..., 3] == 0)
            & (achieved[..., 4] < self.max_speed)
            & (achieved[..., 5] > self.min_upright)
        )

    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.error`."""
        return np.linalg.norm(achieved[..., :2] - desired[..., :2], axis=-1)

    def dense_reward(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`Task.dense_reward`; until the object is at its goal, the distance to it is subtracted as well."""
        away = self.error(achieved, desired) >= self.tolerance
        return super().dense_reward(achieved, desired) - away * achieved[..., 6]
