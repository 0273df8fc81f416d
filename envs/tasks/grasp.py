"""Grasp: take the object from the table and hold it in the air."""

from __future__ import annotations

import numpy as np

from envs.grasping import grasp_at_once, is_held
from envs.observation import Goal
from envs.simulation import Simulation
from envs.tasks.task import MAX_DRAWS, Progress, Task, capture, place_object_at_random, start_hand_at_random

HOLD_SECONDS = 1.0
MIN_LIFT = 0.05  # m
# What is photographed while the object is grasped: control steps and name of the goal.
GRASP_GOALS = {"at object": (7, "+at object"), "closed": (3, "+closed"), "grasped": (6, "grasped")}


class Grasp(Task):
    """Success: the object is lifted more than 5 cm and has been held by both fingers for the last second.

    The error is the distance of the object to where the goal image shows it, metres.
    """

    name = "grasp"
    budget = 16
    instruction = "pick up the object"

    def reset(self, simulation: Simulation, rng: np.random.Generator, look) -> list[Goal]:
        """See :meth:`Task.reset`."""
        for _ in range(MAX_DRAWS):
            place_object_at_random(simulation, rng)
            start_hand_at_random(simulation, rng)
            start = simulation.save()
            goals = []

            def keep(moment: str, goals: list[Goal] = goals) -> None:
                goals.append(capture(simulation, look, *GRASP_GOALS[moment]))

            if grasp_at_once(simulation, keep):
                break
        else:
            raise RuntimeError("No object could be grasped: the scene is broken.")
        self._goal = simulation.object_position()
        simulation.restore(start)
        self._rest_height = simulation.object_position()[2]
        self._held = 0
        return goals

    def measure(self, simulation: Simulation) -> Progress:
        """See :meth:`Task.measure`."""
        position = simulation.object_position()
        lifted = position[2] - self._rest_height > MIN_LIFT
        self._held = self._held + 1 if lifted and is_held(simulation) else 0
        held_seconds = (self._held - 1) * simulation.period  # moments in a row span one interval fewer
        return Progress(
            success=held_seconds > HOLD_SECONDS - 0.5 * simulation.period,
            error=float(np.linalg.norm(position - self._goal)),
        )
