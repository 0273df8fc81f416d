"""What every task is: a start, goal images, a test of success, a budget of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from envs.errors import unknown_name
from envs.grasping import pointing_down
from envs.observation import Goal
from envs.simulation import Simulation

OBJECT_LOW, OBJECT_HIGH = np.array([0.40, -0.15]), np.array([0.56, 0.15])  # m, where objects start and end
OBJECT_YAW = 0.5  # rad
START_LOW, START_HIGH = np.array([0.38, -0.15, 0.28]), np.array([0.54, 0.15, 0.36])  # m, where the flange starts
START_YAW = 0.2  # rad
MAX_DRAWS = 100
PROTOCOLS = ("paper", "dense")


@dataclass(frozen=True)
class Progress:
    """The truth about one moment, for scores and never for agents.

    Attributes:
        success: whether the task counts as solved now.
        error: metres left to the goal, in the task's own measure.
    """

    success: bool
    error: float


class Task(ABC):
    """One task in one scene. An agent never sees this object.

    Attributes:
        name: as on the command line.
        budget: control steps of an episode.
        instruction: the task in words.
    """

    name: str
    budget: int
    instruction: str

    @abstractmethod
    def reset(self, simulation: Simulation, rng: np.random.Generator, look: Callable[[], np.ndarray]) -> list[Goal]:
        """Draw an episode: leave the simulation in its start state and return the goal images in order.

        Goals whose name starts with "+" belong to the dense protocol only (see :func:`select_goals`).

        Args:
            simulation: changed in place.
            rng: the source of all randomness.
            look: renders the simulation as it is, uint8 [H, W, 3].
        """

    @abstractmethod
    def measure(self, simulation: Simulation) -> Progress:
        """Judge the present moment. Called once after the reset and once after every step."""


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
    """Stand the object upright somewhere on the table; the hand waits above, out of its way."""
    simulation.place_arm(simulation.home_joints, closedness=0.0)
    x, y = rng.uniform(OBJECT_LOW, OBJECT_HIGH)
    simulation.place_object(
        np.array([x, y, simulation.object_half_height()]), float(rng.uniform(-OBJECT_YAW, OBJECT_YAW))
    )


def start_hand_at_random(simulation: Simulation, rng: np.random.Generator) -> None:
    """Put the open hand somewhere above the table and let everything come to rest."""
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
