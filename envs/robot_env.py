"""The environment around a robot, real or simulated: what an agent sees is the same on every back end."""

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

    Images have the camera's own size, and a model's transform crops them. A reset needs the option ``goals`` or
    ``goal``; it takes hold of a real arm where it is, and brings a simulated one to its start. On a simulated robot
    that has a start, the task's own test judges, else a person.

    A fault (:mod:`vjepa_sim.envs.faults`) stops the arm and is raised by :meth:`step`, and by :meth:`reset` from then
    on: the arm stays where it is until a person has looked and a new environment is made.

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
            task: its name in records, and the budget of steps for a goal that has none.
            robot: connected; the environment closes it.
            limits: the safety envelope's, or None for the gripper's defaults.
            reward: ``sparse`` or ``dense``.
            render_mode: ``rgb_array`` or None.

        Raises:
            UserError: a name is unknown.
        """
        self.robot = robot
        super().__init__(
            task,
            robot,
            gripper=robot.gripper,
            image_shape=robot.glimpse().rgb.shape,
            limits=limits or default_limits(robot.gripper),
            reward=reward,
            render_mode=render_mode,
        )

    def flange_distance(self) -> float:
        """Metres from the flange to its place in the last goal; NaN if that was captured without a state."""
        wanted = self.goals[-1].state
        if wanted is None:
            return float("nan")
        return float(np.linalg.norm(self.observation.state[POSITION] - wanted[POSITION]))

    def _begin(self, given: list[Goal], options: dict[str, Any]) -> list[Goal]:
        if not given:
            raise UserError(
                "A robot needs to be shown its goal: reset(options={'goal': image}) or {'goals': [Goal, …]}. "
                "`vjepa-sim capture-goal` takes such images."
            )
        return given

    def _judge(self) -> Progress | None:
        return self.robot.judge()

    def _error_unjudged(self) -> float:
        return self.flange_distance()
