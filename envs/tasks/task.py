"""What every task is: a start, goal images, a test of success, a budget of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from vjepa_sim.envs.errors import unknown_name
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.tasks.grasping import pointing_down

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

OBJECT_LOW, OBJECT_HIGH = np.array([0.40, -0.15]), np.array([0.56, 0.15])  # m, where objects start and end
OBJECT_YAW = 0.5  # rad
START_LOW, START_HIGH = np.array([0.38, -0.15, 0.28]), np.array([0.54, 0.15, 0.36])  # m, where the flange starts
START_YAW = 0.2  # rad
MAX_DRAWS = 100
PROTOCOLS = ("paper", "dense")


@dataclass(frozen=True)
class Progress:
    """How far one moment is; privileged, for evaluations and never for agents.

    Attributes:
        success: whether the task counts as solved now.
        error: metres left to the goal, in the task's own measure.
        achieved: float64 [K], what the task measures, see :meth:`Task.achieved`.
    """

    success: bool
    error: float
    achieved: np.ndarray


class Task(ABC):
    """One task in one scene. An agent never sees this object.

    Success, error and dense reward are functions of two vectors alone, what is achieved and what is desired, so that
    goal-conditioned learners can compute them for goals in hindsight.

    Attributes:
        name: as on the command line.
        title: as in the ids of environments.
        budget: control steps of an episode with the task's own goals.
        instruction: the task in words.
        grasps: whether the object must be one that can be grasped.
        measures: names of the K numbers that the task measures.
        desired: float64 [K], the goal of the present episode in the units of :meth:`achieved`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    budget: ClassVar[int]
    instruction: ClassVar[str]
    grasps: ClassVar[bool] = False
    measures: ClassVar[tuple[str, ...]]
    desired: np.ndarray

    @abstractmethod
    def reset(self, simulation: Simulation, rng: np.random.Generator, look: Callable[[], np.ndarray]) -> list[Goal]:
        """Draw an episode: leave the simulation in its start state, set :attr:`desired`, return the goal images.

        Goals whose name starts with "+" belong to the dense protocol only (see :func:`select_goals`).

        Args:
            simulation: changed in place.
            rng: the source of all randomness.
            look: renders the simulation as it is, uint8 [H, W, 3].
        """

    @abstractmethod
    def achieved(self, simulation: Simulation) -> np.ndarray:
        """Measure the present moment [K]. Called once after the reset and once after every step."""

    @abstractmethod
    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Whether vectors [..., K] of what is achieved meet what is desired [..., K]: bool [...]."""

    @abstractmethod
    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Metres left to the goal [...], for vectors [..., K]."""

    def dense_reward(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """A reward [...] that rises on the way to the goal, at most 1: success less the metres that are left."""
        return self.is_success(achieved, desired) - self.error(achieved, desired)

    def measure(self, simulation: Simulation) -> Progress:
        """Judge the present moment; see :meth:`achieved` for when to call it."""
        achieved = self.achieved(simulation)
        return Progress(
            success=bool(self.is_success(achieved, self.desired)),
            error=float(self.error(achieved, self.desired)),
            achieved=achieved,
        )


TASKS: Registry[type[Task]] = Registry("task")


def capture(simulation: Simulation, look: Callable[[], np.ndarray], steps: int, name: str) -> Goal:
    """The present moment as a goal."""
    return Goal(rgb=look(), steps=steps, state=simulation.state(), name=name)


def select_goals(goals: list[Goal], protocol: str) -> list[Goal]:
    """The goals that a protocol shows, each with the steps of the finer ones it stands for.

    Args:
        goals: all of a task's, in order; a name that starts with "+" marks one of the dense protocol only.
        protocol: ``dense`` keeps all; ``paper`` only the V-JEPA 2 paper's.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("goal protocol", protocol, PROTOCOLS)
    if protocol == "dense":
        return goals
    chosen, steps = [], 0
    for goal in goals:
        steps += goal.steps
        if not goal.name.startswith("+"):
            chosen.append(replace(goal, steps=steps))
            steps = 0
    return chosen


def place_object_at_random(simulation: Simulation, rng: np.random.Generator) -> None:
    """Stand the object upright somewhere on the table; the arm waits above, out of its way."""
    simulation.place_arm(simulation.home_joints, closedness=0.0)
    x, y = rng.uniform(OBJECT_LOW, OBJECT_HIGH)
    simulation.place_object(
        np.array([x, y, simulation.object_half_height]), float(rng.uniform(-OBJECT_YAW, OBJECT_YAW))
    )


def start_arm_at_random(simulation: Simulation, rng: np.random.Generator) -> None:
    """Put the open gripper somewhere above the table and let everything come to rest."""
    position = rng.uniform(START_LOW, START_HIGH)
    yaw = float(rng.uniform(-START_YAW, START_YAW))
    simulation.place_flange(pointing_down(position, yaw, 0.0, simulation.gripper))
    simulation.advance(simulation.target)


def far_point(
    rng: np.random.Generator, low: np.ndarray, high: np.ndarray, others: list[np.ndarray], distance: float
) -> np.ndarray:
    """A point in a box at least ``distance`` metres from every one of ``others`` (compared in its own dimensions)."""
    for _ in range(MAX_DRAWS):
        point = rng.uniform(low, high)
        if all(np.linalg.norm(point - other[: len(point)]) >= distance for other in others):
            return point
    raise RuntimeError(f"No point in {low}..{high} is {distance} m away from {others}.")
