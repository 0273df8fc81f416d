"""One sampled episode in a simulated scene that can be restarted, with its task's own test of success."""

from __future__ import annotations

import copy

import numpy as np
from gymnasium.utils.seeding import np_random

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.scene.stage import Stage
from vjepa_sim.envs.scene.variation import sample_variation
from vjepa_sim.envs.simulation.simulation import Simulation
from vjepa_sim.envs.start import Start
from vjepa_sim.envs.tasks import TASKS, Progress

# m and rad by which a start that is sampled again may differ, as it does with another control period.
NEAR, TURNED = 0.005, 0.01


class Scenario:
    """The episode that :class:`.SimEnv` samples from the same seed, with the nominal appearance."""

    def __init__(self, simulation: Simulation, start: Start):
        """Sample the episode, and leave the simulation at its start.

        Args:
            simulation: simulation with the arm, gripper and object of the start.
            start: task and seed of the episode, and the start state that it must have.

        Raises:
            UserError: there is no such task, or the sampled start state differs from the given one.
        """
        task = TASKS[start.task]()
        given = (start.arm, start.gripper, start.object_name)
        present = (simulation.arm.name, simulation.gripper.name, simulation.object.name)
        if given != present:
            raise UserError(f"The start has {' and '.join(given)}; the scene has {' and '.join(present)}.")
        rng, _ = np_random(start.seed)
        Stage(simulation).apply(sample_variation(rng, 0.0))
        simulation.reset()
        task.begin(simulation, rng, lambda: np.zeros((1, 1, 3), np.uint8))  # these goal images are not used
        self._task_at_start = task
        _check(start, start_of(simulation, start.task, start.seed))
        self._simulation = simulation
        self._start = simulation.save()
        self.restart()

    def restart(self) -> None:
        """Put simulation and task back to the start, bit for bit."""
        self._simulation.restore(self._start)
        self._task = copy.deepcopy(self._task_at_start)

    @property
    def commanded_closedness(self) -> float:
        """Commanded closedness of the gripper at the start: above the measured one if it holds something."""
        return self._start.gripper_reference

    def measure(self) -> Progress:
        """Progress at the present moment; see :meth:`.Task.measure` for when to call it."""
        return self._task.measure(self._simulation)


def start_of(simulation: Simulation, task: str, seed: int) -> Start:
    """The present state of a simulation as a :class:`.Start`, which is stored with goals."""
    matrix = simulation.object_matrix()
    return Start(
        task=task,
        seed=seed,
        gripper=simulation.gripper.name,
        object_name=simulation.object.name,
        joints=tuple(simulation.joints().tolist()),
        closedness=simulation.closedness(),
        position=tuple(simulation.object_position().tolist()),
        yaw=float(np.arctan2(matrix[1, 0], matrix[0, 0])),
        arm=simulation.arm.name,
    )


def _check(given: Start, sampled: Start) -> None:
    turned = np.abs(np.subtract(given.joints, sampled.joints)).max()
    moved = np.linalg.norm(np.subtract(given.position, sampled.position))
    if turned > TURNED or moved > NEAR:
        raise UserError(
            f"The goals' episode ({given.task}, seed {given.seed}) had another start when they were captured: a joint "
            f"differs by {turned:.3f} rad, the object by {1000 * moved:.0f} mm. This version samples it differently; "
            "capture the goals again: vjepa-sim capture-goal."
        )
