"""The Gymnasium environment: a task done by an arm in front of a camera, with goals given as images."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium
import numpy as np

from vjepa_sim.envs.arm import Arm
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.exclusive import Exclusive
from vjepa_sim.envs.observation import Goal, Observation, check_image, check_steps
from vjepa_sim.envs.pose import ACTION_DIM, STATE_BOUND, STATE_DIM
from vjepa_sim.envs.safety import SafetyEnvelope, SafetyLimits
from vjepa_sim.envs.tasks import TASKS, Progress, Task

REWARDS = ("sparse", "dense")


class EnvClosed(UserError, gymnasium.error.ClosedEnvironmentError):
    """The environment was closed."""


class GoalImageEnv(gymnasium.Env):
    """An arm, a camera, one task, and goals given as images. :class:`.SimEnv` samples episodes in the simulator;
    :class:`.RobotEnv` runs on a robot, simulated or real. Both have the same interface for an agent.

    Observation (a dict): ``rgb`` uint8 [H, W, 3]; ``state`` float32 [7]; ``goal`` uint8 [H, W, 3], the image of the
    last goal. Action: float32 [7], a change of state over one control period, see :mod:`vjepa_sim.envs.pose`; the
    space's bounds are the arm's step limits, and larger values are clipped.

    The sparse reward is 1.0 while the task is solved, else 0.0; the dense one is :meth:`.Task.dense_reward`. It is 0.0
    where a person decides. An episode never terminates; it is truncated after :attr:`budget` steps, and can be stepped
    further.

    ``info`` has ``is_success`` (bool), ``error`` in metres, ``judge`` (``task``: the task's own test decides;
    ``operator``: a person decides, ``is_success`` stays False and ``error`` is the flange's distance to its position in
    the last goal, NaN if unknown), ``stamp`` in seconds, ``clipped`` (what the safety envelope changed, in words);
    after a step ``action_sent`` (the action [7] that was executed), after a reset ``goals``.

    All arrays that it returns are copies, to draw on or to change. Two threads can't use it at once.

    Attributes:
        task: see :class:`.Task`.
        arm: the safety envelope around the arm.
        arm_name, gripper: names of arm and gripper.
        progress: result of the task's own test for the newest observation; None where a person decides.
    """

    # Not a ClassVar, as in Gymnasium: an instance has the frame rate of its arm.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012
    reset_options: ClassVar[tuple[str, ...]] = ("goal", "goals")

    def __init__(
        self,
        task: str,
        arm: Arm,
        *,
        arm_name: str,
        gripper: str,
        image_shape: tuple[int, int, int],
        limits: SafetyLimits,
        reward: str = "sparse",
        render_mode: str | None = None,
    ):
        """
        Args:
            task: name of one of :data:`.TASKS`.
            arm: arm to act with; the environment closes it.
            arm_name: name of the arm, one of :data:`.ARMS`.
            gripper: name of the gripper on it.
            image_shape: shape of the camera's images, (height, width, 3).
            limits: limits of the safety envelope.
            reward: ``sparse`` or ``dense``.
            render_mode: ``rgb_array`` or None.

        Raises:
            UserError: a name is unknown.
        """
        check_modes(reward, render_mode)
        self.task: Task = TASKS[task]()
        self.arm_name, self.gripper = arm_name, gripper
        self.render_mode = render_mode
        self.arm = SafetyEnvelope(arm, limits)
        rate = 1 / arm.period
        self.metadata = {**self.metadata, "render_fps": rate if rate < 1 else round(rate)}
        image = gymnasium.spaces.Box(0, 255, image_shape, np.uint8)
        state = gymnasium.spaces.Box(-STATE_BOUND, STATE_BOUND, (STATE_DIM,), np.float32)
        self.observation_space = gymnasium.spaces.Dict({"rgb": image, "state": state, "goal": image})
        step = limits.step.astype(np.float32)
        self.action_space = gymnasium.spaces.Box(-step, step, (ACTION_DIM,), np.float32)
        self.progress: Progress | None = None
        self._reward, self._image_shape = reward, image_shape
        self._observation: Observation | None = None
        self._goals: tuple[Goal, ...] = ()
        self._steps, self._closed = 0, False
        self._exclusive = Exclusive("environment")

    # --- what the subclasses differ in ------------------------------------------------------------------------

    @abstractmethod
    def _begin(self, given: list[Goal], options: dict[str, Any]) -> list[Goal]:
        """Begin an episode, before the arm is reset.

        Args:
            given: the user's goals; empty if there are none.
            options: options of :attr:`reset_options` that were given.

        Returns:
            Goals of the episode.
        """

    @abstractmethod
    def _judge(self) -> Progress | None:
        """Progress by the task's own test; None where a person decides."""

    # --- Gymnasium's interface --------------------------------------------------------------------------------

    @property
    def budget(self) -> int:
        """Control steps of the present episode, the sum over its goals; before a reset, the task's budget."""
        return sum(goal.steps for goal in self._goals) or self.task.budget

    @property
    def goals(self) -> list[Goal]:
        """Goals of the present episode, in order."""
        return [goal.copy() for goal in self._goals]

    @property
    def task_description(self) -> str:
        """Instruction of the task in words."""
        return self.task.instruction

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of the camera's images, (height, width, 3)."""
        return self._image_shape

    @property
    def observation(self) -> Observation:
        """The newest observation, as an agent is given it."""
        return self._newest("asking for an observation").copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Begin an episode.

        Args:
            seed: random seed; in the simulator, it makes everything that follows repeatable, bit for bit.
            options: ``{"goal": image}`` (uint8 [H, W, 3]) or ``{"goals": [Goal, …]}`` replace the task's goal images;
                success is still measured against the task's own goal. Subclasses have further options.

        Returns:
            Observation and ``info``, see the class: ``rgb`` and ``goal`` uint8 [H, W, 3], ``state`` float32 [7] in
            metres, radians and closedness.

        Raises:
            UserError: an option is unknown, or a goal is not a :class:`.Goal` or differs in shape from the camera's
                images; the episode before can go on.
            EnvClosed: the environment is closed.
            ArmFault: the arm can't be controlled, or an earlier fault.
        """
        with self._exclusive:
            self._check_open()
            options = self._checked(options)
            given = self._given(options)
            super().reset(seed=seed)
            self._observation = None  # until an episode has begun
            self._goals = tuple(self._begin(given, options))
            observation = self.arm.reset()
            self._steps = 0
            self.progress = self._judge()
            self._observation = observation
            return self._as_dict(), {**self._info(), "goals": self.goals}

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Move for one control period.

        Args:
            action: change of state [7] in the base frame: metres, radians (extrinsic xyz Euler angles), closedness;
                clipped to the bounds of ``action_space``.

        Returns:
            Observation as in :meth:`reset`; reward; ``terminated``, always False; ``truncated``, True from the last
            step of :attr:`budget` on; ``info``, see the class.

        Raises:
            UserError: the action does not have shape (7,) or is not finite; nothing has moved then.
            EnvClosed: the environment is closed.
            ArmFault: what stopped the arm.
        """
        with self._exclusive:
            self._newest("step()")
            sent = self.arm.command(action)
            self._observation = self.arm.observe()
            self._steps += 1
            self.progress = self._judge()
            truncated = self._steps >= self.budget
            return self._as_dict(), self._reward_now(), False, truncated, {**self._info(), "action_sent": sent}

    def reward_of(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Reward [...] of achieved and desired goals [..., K] in the units of :attr:`.Task.measures`.

        Args:
            achieved: achieved goals, such as :attr:`.Progress.achieved` of a step.
            desired: desired goals, such as :attr:`.Progress.desired`.

        Returns:
            float64 [...]; for the progress of a step, the reward of that step.
        """
        measure = "dense_reward" if self._reward == "dense" else "is_success"
        return self.task.evaluate(measure, np.asarray(achieved), np.asarray(desired))

    def render(self) -> np.ndarray | None:
        """The camera's newest image, uint8 [H, W, 3], when made with ``render_mode="rgb_array"``."""
        return self._newest("render()").rgb.copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Bring the arm to rest and release arm and camera. May be called twice."""
        if not self._closed:
            self._closed = True
            self.arm.close()

    # --- implementation ---------------------------------------------------------------------------------------

    def _newest(self, purpose: str) -> Observation:
        """The newest observation itself, which must not be handed out."""
        self._check_open()
        if self._observation is None:
            raise gymnasium.error.ResetNeeded(f"Call reset() before {purpose}.")
        return self._observation

    def _checked(self, options: dict[str, Any] | None) -> dict[str, Any]:
        """Reset options, checked before any state changes."""
        options = {} if options is None else options
        if not isinstance(options, dict):
            raise UserError(f"options must be a dict such as {{'goal': image}}; a {type(options).__name__} was given.")
        for name in options:
            if name not in self.reset_options:
                raise unknown_name("reset option", name, self.reset_options)
        return options

    def _given(self, options: dict[str, Any]) -> list[Goal]:
        """The user's own goals, checked before any state changes."""
        if "goal" in options and "goals" in options:
            raise UserError("Give 'goal' or 'goals' as a reset option, not both.")
        height, width, _ = self._image_shape
        if "goal" in options:
            return [Goal(check_image(options["goal"], height, width, "goal image").copy(), self.task.budget)]
        if "goals" not in options:
            return []
        goals = options["goals"]
        expected = "Reset option 'goals': expected a list of one or more vjepa_sim.envs.observation.Goal"
        if not isinstance(goals, (list, tuple)) or not goals:
            given = "an empty one" if isinstance(goals, (list, tuple)) else f"a {type(goals).__name__}"
            raise UserError(f"{expected}; {given} was given. A single image is given as 'goal'.")
        for goal in goals:
            if not isinstance(goal, Goal):
                raise UserError(f"{expected}; it holds a {type(goal).__name__}. A single image is given as 'goal'.")
            check_image(goal.rgb, height, width, "goal image")
            check_steps(goal.steps)
        return [goal.copy() for goal in goals]

    def _reward_now(self) -> float:
        progress = self.progress
        return 0.0 if progress is None else float(self.reward_of(progress.achieved, progress.desired))

    def _as_dict(self) -> dict[str, np.ndarray]:
        observation = self.observation
        return {"rgb": observation.rgb, "state": observation.state, "goal": self._goals[-1].rgb.copy()}

    def _info(self) -> dict[str, Any]:
        progress = self.progress
        return {
            "is_success": progress is not None and progress.success,
            "error": self._error_unjudged() if progress is None else progress.error,
            "judge": "operator" if progress is None else "task",
            "stamp": self._newest("asking for info").stamp,
            "clipped": list(self.arm.clipped),
        }

    def _error_unjudged(self) -> float:
        """Metres left to the goal where a person decides; NaN if unknown."""
        return float("nan")

    def _check_open(self) -> None:
        if self._closed:
            raise EnvClosed("This environment was closed; make a new one.")


def check_modes(reward: str, render_mode: str | None) -> None:
    """Raise :class:`.UserError` for an unknown reward or render mode."""
    if reward not in REWARDS:
        raise unknown_name("reward", reward, REWARDS)
    if render_mode not in (None, *GoalImageEnv.metadata["render_modes"]):
        raise unknown_name("render_mode", render_mode, GoalImageEnv.metadata["render_modes"])
