"""The base class of tasks: start state, goal images, test of success, budget of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from vjepa_sim.envs.errors import UserError, naming_part, unknown_name
from vjepa_sim.envs.observation import Goal, check_steps
from vjepa_sim.envs.part_checks import A_TITLE, TITLE, are_texts, check_fields, is_text
from vjepa_sim.envs.registry import Registry
from vjepa_sim.envs.tasks.grasping import pointing_down

if TYPE_CHECKING:
    from vjepa_sim.envs.arms import ArmSpec
    from vjepa_sim.envs.objects import ObjectSpec
    from vjepa_sim.envs.simulation.simulation import Simulation

OBJECT_LOW, OBJECT_HIGH = np.array([0.40, -0.15]), np.array([0.56, 0.15])  # m, range of the object's start and goal
OBJECT_YAW = 0.5  # rad
START_LOW, START_HIGH = np.array([0.38, -0.15, 0.28]), np.array([0.54, 0.15, 0.36])  # m, range of the flange's start
START_YAW = 0.2  # rad
MAX_DRAWS = 100
PROTOCOLS = ("paper", "dense")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Result of a task's test at one moment; privileged, for evaluations and not for agents.

    Attributes:
        success: whether the task is solved now.
        error: distance left to the goal by the task's own measure, metres.
        achieved: achieved goal, float64 [K], see :meth:`Task.achieved`.
        desired: desired goal of the episode, float64 [K], see :attr:`Task.desired`.
    """

    success: bool
    error: float
    achieved: np.ndarray
    desired: np.ndarray


class Task(ABC):
    """One task in one scene. Agents are not given it.

    Success, error and dense reward are functions of two vectors only, the achieved and the desired goal, so that
    goal-conditioned learners can compute them for goals in hindsight, and so that every instance of a task computes
    the same: they use nothing that :meth:`reset` or :meth:`achieved` stores.

    Attributes:
        name: name on the command line.
        title: part of environment ids.
        budget: control steps of an episode with the task's own goals.
        instruction: the task in words.
        grasps: whether the object must be graspable.
        measures: names of the K numbers of an achieved goal.
        ranges: boxes of starts and goals, each its lower and its upper corner: x, y and perhaps z, metres, base frame.
        desired: desired goal of the present episode, float64 [K], in the units of :meth:`achieved`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    budget: ClassVar[int]
    instruction: ClassVar[str]
    grasps: ClassVar[bool] = False
    measures: ClassVar[tuple[str, ...]]
    ranges: ClassVar[tuple[tuple[np.ndarray, np.ndarray], ...]] = ((START_LOW, START_HIGH), (OBJECT_LOW, OBJECT_HIGH))
    desired: np.ndarray

    @classmethod
    def check_arm(cls, arm: ArmSpec) -> None:
        """Raise :class:`.UserError` for an arm whose workspace does not contain this task's starts and goals."""
        for low, high in cls.ranges:
            if np.any(low[:2] < arm.workspace_low) or np.any(high > arm.workspace_high[: len(high)]):
                raise UserError(
                    f"Arm {arm.name!r} can't do the task {cls.name!r}: its workspace, from {list(arm.workspace_low)} "
                    f"to {list(arm.workspace_high)} m, does not contain the starts and goals, from {low.tolist()} to "
                    f"{high.tolist()} m."
                )

    @classmethod
    def check_object(cls, thing: ObjectSpec) -> None:
        """Raise :class:`.UserError` for an object that this task can't be done with; the message names the reason."""
        if cls.grasps:
            thing.held(cls.name)

    @abstractmethod
    def reset(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """Sample an episode: leave the simulation in its start state, set :attr:`desired`, return the goal images.

        Goals whose name starts with "+" belong to the dense protocol only (see :func:`select_goals`).

        Args:
            simulation: simulation, changed in place.
            rng: random number generator.
            render: renders the present state of the simulation, uint8 [H, W, 3].

        Returns:
            The goals, in order.
        """

    @abstractmethod
    def achieved(self, simulation: Simulation) -> np.ndarray:
        """The achieved goal [K] at the present moment. Called once after the reset and once after every step."""

    @abstractmethod
    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Whether achieved goals [..., K] meet desired goals [..., K]: bool [...]."""

    @abstractmethod
    def error(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Distance [...] from achieved to desired goals [..., K], metres."""

    def dense_reward(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Dense reward [...], at most 1: success (1 or 0) minus the error in metres."""
        return self.is_success(achieved, desired) - self.error(achieved, desired)

    def begin(self, simulation: Simulation, rng: np.random.Generator, render: Callable[[], np.ndarray]) -> list[Goal]:
        """Sample an episode with :meth:`reset`, and check what it has set and returned.

        Raises:
            UserError: it fails; there are no goals; or :attr:`desired` has not the size of :attr:`measures`, or is not
                finite.
        """
        self.desired = np.empty(0)
        with self._own_errors():
            goals = self.reset(simulation, rng, render)
        if not isinstance(goals, list) or not goals or not all(isinstance(goal, Goal) for goal in goals):
            raise UserError(
                f"reset() of task {self.name!r} returned {goals!r:.80}; expected a list of one Goal or more."
            )
        for goal in goals:
            check_steps(goal.steps)
            if not isinstance(goal.name, str):
                raise UserError(f"reset() of task {self.name!r} returned a goal named {goal.name!r}; expected a text.")
        self.desired = self._checked("reset()", "desired", self.desired)
        return goals

    def measure(self, simulation: Simulation) -> Progress:
        """Test the present moment; see :meth:`achieved` for when to call it.

        Raises:
            UserError: what the task's functions return has another shape than it should, or is not finite.
        """
        with self._own_errors():
            achieved = self.achieved(simulation)
        achieved = self._checked("achieved()", "the achieved goal", achieved)
        return Progress(
            success=bool(self.evaluate("is_success", achieved, self.desired)),
            error=float(self.evaluate("error", achieved, self.desired)),
            achieved=achieved,
            desired=self.desired.copy(),
        )

    def evaluate(
        self, measure: Literal["is_success", "error", "dense_reward"], achieved: np.ndarray, desired: np.ndarray
    ) -> np.ndarray:
        """One of the task's functions of achieved and desired goals, checked.

        Args:
            measure: name of the function.
            achieved: achieved goals [..., K].
            desired: desired goals [..., K].

        Returns:
            float64 [...].

        Raises:
            UserError: the goals don't have K numbers each; or the function fails, or what it returns has another shape
                or is not finite.
        """
        size = (len(self.measures),)
        if achieved.shape[-1:] != size or desired.shape[-1:] != size:
            raise UserError(
                f"Goals of task {self.name!r} have {size[0]} numbers ({', '.join(self.measures)}); arrays of shape "
                f"{achieved.shape} and {desired.shape} were given."
            )
        with self._own_errors():
            returned = getattr(self, measure)(achieved, desired)
        values = _as_floats(returned)
        if values is None or values.shape != achieved.shape[:-1]:
            expected = np.broadcast_shapes(achieved.shape, desired.shape)[:-1]
            if values is None or values.shape != expected:
                raise UserError(
                    f"{measure}() of task {self.name!r} returned {_in_words(returned)} for achieved goals of shape "
                    f"{achieved.shape} and desired ones of shape {desired.shape}; expected numbers of shape {expected}."
                )
        if not np.isfinite(values).all() and np.isfinite(achieved).all() and np.isfinite(desired).all():
            raise UserError(f"{measure}() of task {self.name!r} returned {values}; expected finite numbers.")
        return values

    def _own_errors(self) -> AbstractContextManager[None]:
        return naming_part(f"Task {self.name!r}", type(self))

    def _checked(self, method: str, what: str, vector: object) -> np.ndarray:
        """A goal as float64 [K] of its own."""
        numbers = _as_floats(vector)
        if numbers is None or numbers.shape != (len(self.measures),):
            raise UserError(
                f"{method} of task {self.name!r}: {what} is {_in_words(vector)}; expected numbers of shape "
                f"({len(self.measures)},), for its measures {', '.join(self.measures)}."
            )
        if not np.isfinite(numbers).all():
            raise UserError(f"{method} of task {self.name!r}: {what} is {numbers}; expected finite numbers.")
        return numbers.copy()


def _as_floats(values: object) -> np.ndarray | None:
    """Values as float64; None if they aren't numbers."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return None


def _in_words(values: object) -> str:
    return f"an array of shape {values.shape}" if isinstance(values, np.ndarray) else f"{values!r:.80}"


def _check_task(task: type[Task]) -> None:
    """Refuse what is no subclass of :class:`Task`, or lacks a member."""
    if not isinstance(task, type) or not issubclass(task, Task):
        raise UserError(f"A task is registered as a subclass of vjepa_sim.envs.tasks.Task; {task!r} was given.")
    members = ("title", "budget", "instruction", "measures")
    missing = [name for name in members if not hasattr(task, name)] + sorted(task.__abstractmethods__)
    if missing:
        raise UserError(f"Task {task.name!r} lacks {', '.join(missing)}; see docs/extending.md.")
    check_fields(
        "task",
        task,
        (
            ("title", is_text(task.title, TITLE), A_TITLE),
            ("budget", type(task.budget) is int and task.budget >= 1, "a whole number of control steps, at least 1"),
            ("instruction", is_text(task.instruction), "a text"),
            ("measures", are_texts(task.measures) and len(task.measures) > 0, "a tuple of names"),
        ),
    )


TASKS: Registry[type[Task]] = Registry("task", check=_check_task)


def capture(simulation: Simulation, render: Callable[[], np.ndarray], steps: int, name: str) -> Goal:
    """The present moment as a goal.

    Args:
        simulation: simulation, for the arm's state.
        render: renders its present state, uint8 [H, W, 3].
        steps: control steps of the goal.
        name: label of the goal.
    """
    return Goal(rgb=render(), steps=steps, state=simulation.state(), name=name)


def select_goals(goals: list[Goal], protocol: str) -> list[Goal]:
    """The goals of a protocol, each with the steps of those left out before it.

    Args:
        goals: all goals of a task, in order; a name that starts with "+" marks a goal of the dense protocol only.
        protocol: ``dense`` for all goals; ``paper`` for those of the V-JEPA 2 paper.

    Raises:
        UserError: there is no such protocol, or the last goal is of the dense protocol only.
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
    if steps:
        raise UserError(
            f"The task's last goal is called {goals[-1].name!r}; names that start with '+' are left out by the paper's "
            "protocol, and the last goal must not be. Rename it."
        )
    return chosen


def place_object_at_random(simulation: Simulation, rng: np.random.Generator) -> None:
    """Put the object upright at a random position and yaw on the table, with the arm at home above it."""
    simulation.place_arm(simulation.home_joints, closedness=0.0)
    x, y = rng.uniform(OBJECT_LOW, OBJECT_HIGH)
    simulation.place_object(
        np.array([x, y, simulation.object_half_height]), float(rng.uniform(-OBJECT_YAW, OBJECT_YAW))
    )


def start_arm_at_random(simulation: Simulation, rng: np.random.Generator) -> None:
    """Put the open gripper at a random position and yaw above the table, and let the arm settle."""
    position = rng.uniform(START_LOW, START_HIGH)
    yaw = float(rng.uniform(-START_YAW, START_YAW))
    simulation.place_flange(pointing_down(position, yaw, 0.0, simulation.gripper))
    simulation.advance(simulation.target)


def far_point(
    rng: np.random.Generator, low: np.ndarray, high: np.ndarray, *, others: list[np.ndarray], distance: float
) -> np.ndarray:
    """A random point in a box at least ``distance`` metres from all ``others``, compared in the box's dimensions."""
    for _ in range(MAX_DRAWS):
        point = rng.uniform(low, high)
        if all(np.linalg.norm(point - other[: len(point)]) >= distance for other in others):
            return point
    raise RuntimeError(f"No point in {low}..{high} is {distance} m away from {others}.")
