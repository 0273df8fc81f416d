"""One drawn episode in a simulated scene: put back to its start as often as needed, judged by its task's own test."""

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

# m and rad by which a start that is drawn anew may differ: steps of another length settle so.
NEAR, TURNED = 0.005, 0.01


class Scenario:
    """An episode that :class:`.SimEnv` would draw from the same seed, in the nominal look."""

    def __init__(self, simulation: Simulation, start: Start):
        """Draw it anew, and leave the simulation at its start.

        Args:
            simulation: with the start's gripper and object.
            start: which episode, and where it must begin.

        Raises:
            UserError: there is no such task, or its draw has changed since the start was written down.
        """
        task = TASKS[start.task]()
        told = (start.arm, start.gripper, start.object_name)
        there = (simulation.arm.name, simulation.gripper.name, simulation.object.name)
        if told != there:
            raise UserError(f"The start has {' and '.join(told)}; the scene has {' and '.join(there)}.")
        rng, _ = np_random(start.seed)
        Stage(simulation).apply(sample_variation(rng, 0.0))
        simulation.reset()
        self._drawn = task
        self._drawn.reset(simulation, rng, lambda: np.zeros((1, 1, 3), np.uint8))  # nobody looks at these goals
        _check(start, start_of(simulation, start.task, start.seed))
        self._simulation = simulation
        self._start = simulation.save()
        self.restart()

    def restart(self) -> None:
        """Put everything back to the start, bit for bit."""
        self._simulation.restore(self._start)
        self._task = copy.deepcopy(self._drawn)

    @property
    def commanded_closedness(self) -> float:
        """What the gripper is told at the start: more than its closedness where it holds something."""
        return self._start.gripper_reference

    def measure(self) -> Progress:
        """The present moment; see :meth:`.Task.measure` for when to call it."""
        return self._task.measure(self._simulation)


def start_of(simulation: Simulation, task: str, seed: int) -> Start:
    """The present moment of a simulation, in the numbers that are kept beside goals."""
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


def _check(told: Start, drawn: Start) -> None:
    turned = np.abs(np.subtract(told.joints, drawn.joints)).max()
    moved = np.linalg.norm(np.subtract(told.position, drawn.position))
    if turned > TURNED or moved > NEAR:
        raise UserError(
            f"The goals' episode ({told.task}, seed {told.seed}) began elsewhere when they were taken: a joint by "
            f"{turned:.3f} rad, the object by {1000 * moved:.0f} mm. This version draws it differently; take the goals "
            "anew: vjepa-sim capture-goal."
        )
