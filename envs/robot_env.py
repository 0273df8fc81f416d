"""The Gymnasium environment around a robot, real or simulated: what an agent sees is the same on every rung."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs import BUDGETS
from envs.errors import UserError, unknown_name
from envs.observation import Goal, Observation, check_image
from envs.pose import ACTION_DIM, POSITION, STATE_BOUND, STATE_DIM
from envs.robot import Robot
from envs.safety import SafetyEnvelope, SafetyLimits, default_limits


class RobotEnv(gymnasium.Env):
    """A Franka arm on its table, in front of a camera, with goals given as images.

    Observations, actions and the safety envelope are :class:`envs.franka_env.FrankaEnv`'s; pictures have the camera's
    own size, and a model's transform crops them. On a simulated robot that has a start, the task's own test judges:
    ``info["is_success"]`` and ``info["error"]`` are its. Else nobody measures success: ``info["is_success"]`` stays
    False, and ``info["error"]`` is the flange's distance in metres to its place in the last goal, NaN if the goal was
    captured without a state. ``info["judge"]`` is ``task`` or ``operator`` accordingly.

    A fault (:mod:`envs.faults`) stops the arm and is raised by :meth:`step`, and by :meth:`reset` from then on: the arm
    stays where it is until a person has looked and a new environment is made.

    Args:
        task: its name in records, and the budget of steps where its own test judges, or for a goal that has none.
        arm: see :func:`envs.franka.open_arm` for a real one; the environment closes it.
        limits: the safety envelope's, or None for the gripper's defaults.
        render_mode: ``rgb_array`` or None.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(self, task: str, arm: Robot, limits: SafetyLimits | None = None, render_mode: str | None = None):
        if task not in BUDGETS:
            raise unknown_name("task", task, BUDGETS)
        self.task = task
        self.budget = BUDGETS[task]
        self.render_mode = render_mode
        self.robot, self.gripper = arm, arm.gripper
        self.arm = SafetyEnvelope(arm, limits or default_limits(arm.gripper))
        rgb = arm.glimpse().rgb
        image = gymnasium.spaces.Box(0, 255, rgb.shape, np.uint8)
        state = gymnasium.spaces.Box(-STATE_BOUND, STATE_BOUND, (STATE_DIM,), np.float32)
        self.observation_space = gymnasium.spaces.Dict({"rgb": image, "state": state, "goal": image})
        step = self.arm.limits.step.astype(np.float32)
        self.action_space = gymnasium.spaces.Box(-step, step, (ACTION_DIM,), np.float32)
        self.goals: list[Goal] = []
        self._observation: Observation | None = None

    @property
    def observation(self) -> Observation:
        """The newest observation, as agents get it."""
        if self._observation is None:
            raise gymnasium.error.ResetNeeded("Call reset() before asking for an observation.")
        return self._observation

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Take hold of the arm: a real one where it is, a simulated one at its start.

        Args:
            seed: of nothing; a robot has none, and a simulated one begins where its goals' episode did.
            options: ``{"goals": [Goal, …]}``, or ``{"goal": image}`` of the camera's size.

        Raises:
            UserError: there is no goal, or it has another size.
            ArmFault: the arm can't be controlled, or an earlier fault.
        """
        super().reset(seed=seed)
        self.goals = self._goals(options or {})
        self._observation = self.arm.reset()
        info = self._info()
        self.budget = BUDGETS[self.task] if info["judge"] == "task" else sum(goal.steps for goal in self.goals)
        return self._as_dict(), {**info, "goals": self.goals}

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Move for one period, and look when the arm is at rest."""
        sent = self.arm.command(action)
        self._observation = self.arm.observe()
        return self._as_dict(), 0.0, False, False, {**self._info(), "action_sent": sent}

    def render(self) -> np.ndarray | None:
        """The camera's newest picture, when made with ``render_mode="rgb_array"``."""
        return self.observation.rgb if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Come to rest and let go of robot, gripper and camera."""
        self.arm.close()

    def hand_distance(self) -> float:
        """Metres from the flange to its place in the last goal; NaN if that was captured without a state."""
        wanted = self.goals[-1].state
        if wanted is None:
            return float("nan")
        return float(np.linalg.norm(self.observation.state[POSITION] - wanted[POSITION]))

    def _goals(self, options: dict[str, Any]) -> list[Goal]:
        unknown = set(options) - {"goal", "goals"}
        if unknown:
            raise unknown_name("reset option", sorted(unknown)[0], ["goal", "goals"])
        goals = options.get("goals") or ([Goal(options["goal"], BUDGETS[self.task])] if "goal" in options else [])
        if not goals:
            raise UserError(
                "A real arm needs to be shown its goal: reset(options={'goal': image}) or {'goals': [Goal, …]}. "
                "`vjepa-sim capture-goal` takes such pictures."
            )
        height, width, _ = self.observation_space["rgb"].shape
        for goal in goals:
            check_image(goal.rgb, height, width, "goal image")
        return list(goals)

    def _as_dict(self) -> dict[str, np.ndarray]:
        return {"rgb": self.observation.rgb.copy(), "state": self.observation.state, "goal": self.goals[-1].rgb.copy()}

    def _info(self) -> dict[str, Any]:
        progress = self.robot.judge()
        return {
            "is_success": progress is not None and progress.success,
            "success": progress is not None and progress.success,
            "error": self.hand_distance() if progress is None else progress.error,
            "judge": "operator" if progress is None else "task",
            "stamp": self.observation.stamp,
            "clipped": list(self.arm.clipped),
        }
