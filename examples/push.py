"""A new task: push the object to where the goal image shows it, with the gripper closed; and the expert's skill for it.

Try it::

    vjepa-sim eval --plugin examples/push.py --task push --agent expert --episodes 20 --out results
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vjepa_sim.agents.policies.expert import SKILLS, Manipulator, Skill
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.objects import ObjectSpec
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

MIN_DISTANCE, MAX_DISTANCE = 0.06, 0.12  # m that the object is to be pushed
MAX_HEIGHT = 0.10  # m of an object that is pushed; higher ones fall over
MAX_SPEED = 0.03  # m/s of an object that counts as still
MIN_UPRIGHT = 0.95  # cosine of the tilt of an object that counts as upright


@TASKS.register
class Push(Task):
    """Success: the object stands upright and still, less than 3 cm from its place in the goal image.

    The error is that distance, horizontally, metres. What is measured: the object's position [3], its speed in m/s, and
    the cosine of its tilt.
    """

    name = "push"
    title = "Push"
    budget = 30
    instruction = "push the object to the goal"
    measures = ("x", "y", "z", "speed", "upright")
    tolerance = 0.03

    @classmethod
    def check_object(cls, thing: ObjectSpec) -> None:
        """See :meth:`.Task.check_object`."""
        height = 2 * thing.half_height
        if height > MAX_HEIGHT:
            raise UserError(
                f"Task {cls.name!r} needs an object that stays upright when it is pushed, at most "
                f"{MAX_HEIGHT * 100:.0f} cm high; {thing.name!r} has {height * 100:.0f} cm and falls over."
            )

    def reset(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """See :meth:`.Task.reset`."""
        place_object_at_random(simulation, rng)
        start = simulation.object_position()
        while True:
            place = far_point(rng, OBJECT_LOW, OBJECT_HIGH, others=[start], distance=MIN_DISTANCE)
            if np.linalg.norm(place - start[:2]) <= MAX_DISTANCE:
                break
        start_arm_at_random(simulation, rng)
        begin = simulation.save()
        simulation.place_object(np.array([*place, simulation.object_half_height]), yaw=0.0)
        self.desired = np.array([*simulation.object_position(), 0.0, 1.0])
        goal = capture(simulation, render, self.budget, "pushed")
        simulation.restore(begin)
        return [goal]

    def achieved(self, simulation: Simulation) -> np.ndarray:
        """See :meth:`.Task.achieved`."""
        upright = simulation.object_matrix()[2, 2]
        return np.array([*simulation.object_position(), simulation.object_speed(), upright])

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`.Task.is_success`."""
        near = self.error(achieved, desired) < self.tolerance
        return near & (achieved[..., 3] < MAX_SPEED) & (achieved[..., 4] > MIN_UPRIGHT)

    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """See :meth:`.Task.error`."""
        return np.linalg.norm(achieved[..., :2] - desired[..., :2], axis=-1)


# --- the expert's skill -------------------------------------------------------------------------------------------

FINGERTIPS = 0.006  # m from the table to the closed fingertips that push: higher up, they would tip the object over
HOVER = 0.10  # m from the table to the fingertips on the way around the object
BEHIND = 0.08  # m from the object's centre at which the fingers go down, and to which they back away
LATERAL = 0.012  # m by which the fingers may be off the line of pushing where they go down; twice as much later
STRIDE = 0.02  # m per step while pushing
NEAR = 0.012  # m from its place at which the object is left alone


def push(manipulator: Manipulator) -> np.ndarray:
    """The action [7] of going around the object, down behind it, pushing it to its place, and backing away."""
    simulation, place = manipulator.env.simulation, manipulator.env.task.desired[:2]
    low, high = simulation.gripper.lowest_flange + FINGERTIPS, simulation.gripper.lowest_flange + HOVER
    flange, center = simulation.target[:3], simulation.object_position()[:2]
    offset, way = flange[:2] - center, place - center
    distance, left = float(np.linalg.norm(offset)), float(np.linalg.norm(way))
    direction = way / max(left, 1e-9)
    side = np.array([-direction[1], direction[0]])
    down, aside = flange[2] < low + 0.02, float(offset @ side)

    def toward(position: np.ndarray, height: float) -> np.ndarray:
        """The action toward a place [2] of the closed gripper, pointing down."""
        return manipulator.move(pointing_down(np.array([*position, height]), 0.0, 1.0, simulation.gripper), 1.0)

    if left > NEAR and down and offset @ direction < 0 and abs(aside) < 2 * LATERAL:
        return toward(flange[:2] + min(STRIDE, left) * direction - aside / 2 * side, low)
    if down and distance < BEHIND - 0.01:  # back first: fingers that go up along the object would tip it over
        return toward(center + offset * BEHIND / max(distance, 1e-9), flange[2])
    if left < NEAR:
        return toward(flange[:2], high)
    behind = center - BEHIND * direction
    if np.linalg.norm(flange[:2] - behind) < LATERAL:
        return toward(behind, low)
    return toward(flange[:2] if flange[2] < high - 0.02 else behind, high)


SKILLS.register(Skill("push", push))
