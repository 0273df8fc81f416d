"""The environment on a robot, real or simulated, with the same interface on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.goal_image_env import GoalImageEnv
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.pose import POSITION
from vjepa_sim.envs.robot import Robot
from vjepa_sim.envs.safety import SafetyLimits, default_limits
from vjepa_sim.envs.tasks import Progress


class RobotEnv(GoalImageEnv):
    """A :class:`.GoalImageEnv` on a robot.

    Images have the camera's own size; a model's transform crops them. A reset needs the option ``goals`` or ``goal``;
    it takes control of a real arm where it is, and brings a simulated one to its start. On a simulated robot that has a
    start, success is decided by the task's own test; else by a person, and the reward is 0.

    A fault (:mod:`vjepa_sim.envs.faults`) stops the arm and is raised by the step, and by every
    :meth:`.GoalImageEnv.reset` from then on: the arm stays where it is until a person has inspected it and a new
    environment is made.

    Attributes:
        robot: the arm without its safety envelope.
    """

    def __init__(
        self,
        task: str,
        robot: Robot,
        *,
        limits: SafetyLimits | None = None,
        reward: str = "sparse",
        render_mode: str | None = None,
    ):
        """
        Args:
            task: name of one of :data:`.TASKS`; gives the instruction, and the budget for a goal without steps.
            robot: connected robot; the environment closes it.
            limits: limits of the safety envelope, or None for the defaults of arm and gripper.
            reward: ``sparse``, or ``dense`` on a robot with the task's own test.
            render_mode: ``rgb_array`` or None.

        Raises:
            UserError: a name is unknown, or the robot can't give the reward.
        """
        self.robot = robot
        super().__init__(
            task,
            robot,
            arm_name=robot.arm_name,
            gripper=robot.gripper,
            image_shape=robot.glimpse().rgb.shape,
            limits=limits or default_limits(robot.arm_name, robot.gripper),
            reward=reward,
            render_mode=render_mode,
        )
        if reward == "dense" and robot.judge() is None:
            raise UserError(
                "reward='dense' needs the task's own test, which this robot lacks: only a simulated robot with a start "
                "has it. Give reward='sparse', or start=."
            )

    def flange_distance(self) -> float:
        """Metres from the flange to its position in the last goal; NaN if that was captured without a state."""
        wanted = self._goals[-1].state if self._goals else None
        if wanted is None:
            return float("nan")
        return float(np.linalg.norm(self._newest("flange_distance()").state[POSITION] - wanted[POSITION]))

    def __getstate__(self) -> dict[str, Any]:
        raise UserError("An environment on a robot can't be copied or pickled: a robot has one owner. Make a new one.")

    def _given(self, options: dict[str, Any]) -> list[Goal]:
        given = super()._given(options)
        if not given:
            raise UserError(
                "A robot needs a goal image: reset(options={'goal': image}) or {'goals': [Goal, …]}. "
                "`vjepa-sim capture-goal` takes such images."
            )
        return given

    def _begin(self, given: list[Goal], options: dict[str, Any]) -> list[Goal]:
        return given

    def _judge(self) -> Progress | None:
        return self.robot.judge()

    def _error_unjudged(self) -> float:
        return self.flange_distance()
