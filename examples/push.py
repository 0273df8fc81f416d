"""A new task: push the object to where the goal image shows it, with the gripper closed; and the expert's skill for it.

    vjepa-sim eval --plugin examples/push.py --task push --agent expert --episodes 20 --out results
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vjepa_sim.agents.policies.expert import SKILLS, Manipulator, Skill
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.simulation.simulation import Simulation
from vjepa_sim.envs.tasks import TASKS, Task
from vjepa_sim.envs.tasks.grasping import pointing_down
from vjepa_sim.envs.tasks.task import (
    OBJECT_HIGH,
    OBJECT_LOW,
    capture,
    far_point,
    place_object_at_random,
    start_arm_at_random,
)

MIN_DISTANCE, MAX_DISTANCE = 0.08, 0.18  # m that the object is to be pushed
BEHIND = 0.075  # m from the object's centre at which the fingers go down
CONTACT = 0.040  # m from the object's centre at which closed fingers touch it, about
HOVER = 0.10  # m above the height of pushing at which the gripper goes around the object
LATERAL = 0.012  # m by which the fingers may be off the line of pushing
STRIDE = 0.03  # m of a step while pushing: what is pushed faster falls over
LOW = 0.035  # m above the table at which the middle of the finger pads pushes


@TASKS.register
class Push(Task):
    """Success: the object stands within 4 cm of its place, still, and no finger holds it.

    The error is the object's horizontal distance to its place, metres. What is measured: the object's position [3], its
    speed in m/s, and the cosine of its tilt.
    """

    name = "push"
    title = "Push"
    budget = 24
    instruction = "push the object to the goal"
    measures = ("x", "y", "z", "speed", "upright")
    tolerance = 0.04

    def reset(self, simulation: Simulation, rng: np.random.Generator, look: Callable[[], np.ndarray]) -> list[Goal]:
        """Draw where the object stands and where it should; the goal image shows it there, the arm at its start."""
        place_object_at_random(simulation, rng)
        start = simulation.object_position()
        place = far_point(rng, OBJECT_LOW, OBJECT_HIGH, [start], MIN_DISTANCE)
        while np.linalg.norm(place - start[:2]) > MAX_DISTANCE:
            place = far_point(rng, OBJECT_LOW, OBJECT_HIGH, [start], MIN_DISTANCE)
        start_arm_at_random(simulation, rng)
        begin = simulation.save()
        simulation.place_object(np.array([*place, simulation.object_half_height]), yaw=0.0)
        self.desired = np.array([*simulation.object_position(), 0.0, 1.0])
        goal = capture(simulation, look, self.budget, "pushed")
        simulation.restore(begin)
        return [goal]

    def achieved(self, simulation: Simulation) -> np.ndarray:
        """See :meth:`.Task.achieved`."""
        upright = simulation.object_matrix()[2, 2]
        return np.array([*simulation.object_position(), simulation.object_speed(), upright])

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`.Task.is_success`."""
        near = self.error(achieved, desired) < self.tolerance
        return near & (achieved[..., 3] < 0.03) & (achieved[..., 4] > 0.95)

    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`.Task.error`."""
        return np.linalg.norm(achieved[..., :2] - desired[..., :2], axis=-1)


def push(manipulator: Manipulator) -> np.ndarray:
    """Go around the object, down behind it, and push it along the line to its place."""
    simulation, place = manipulator.env.simulation, manipulator.env.task.desired[:2]
    flange, thing = simulation.target[:3].copy(), simulation.object_position()
    way = place - thing[:2]
    distance = float(np.linalg.norm(way))
    low = simulation.gripper.flange_to_pad + LOW  # the flange's height for pushing
    if distance < 0.015:
        return manipulator.move(_down(flange[:2], low + HOVER, manipulator), 1.0)
    direction = way / distance
    offset = flange[:2] - thing[:2]
    along, aside = float(offset @ direction), float(abs(offset[0] * direction[1] - offset[1] * direction[0]))
    if along < -CONTACT / 2 and aside < LATERAL and flange[2] < low + 0.01:  # behind it: push
        goal = place - CONTACT * direction
        ahead = goal - flange[:2]
        ahead *= min(1.0, STRIDE / max(float(np.linalg.norm(ahead)), 1e-9))
        return manipulator.move(_down(flange[:2] + ahead, low, manipulator), 1.0)
    behind = thing[:2] - BEHIND * direction
    if np.linalg.norm(flange[:2] - behind) < LATERAL:
        return manipulator.move(_down(behind, low, manipulator), 1.0)
    if flange[2] < low + HOVER - 0.02:  # up first: the way around leads over the object
        return manipulator.move(_down(flange[:2], low + HOVER, manipulator), 1.0)
    return manipulator.move(_down(behind, low + HOVER, manipulator), 1.0)


def _down(position: np.ndarray, height: float, manipulator: Manipulator) -> np.ndarray:
    """The state [7] of a closed gripper that points down at a place [2]."""
    return pointing_down(np.array([*position, height]), 0.0, 1.0, manipulator.env.simulation.gripper)


SKILLS.register(Skill("push", push))
