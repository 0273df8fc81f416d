"""What happened in an episode on a robot."""

from __future__ import annotations

import numpy as np

from agents.scoring import EpisodeScore
from data.episode import Camera, Episode
from envs.faults import ArmFault
from envs.observation import Observation
from envs.robot_env import RobotEnv


class Recording:
    """Row by row, while the episode goes on.

    Attributes:
        seconds: that each decision took.
        evaluations: of the model, for each decision.
        solved_at: step after which the task's own test was first passed, or None.
        info: the environment's newest.
    """

    def __init__(self, env: RobotEnv):
        self._env = env
        self._rows: list[tuple[Observation, np.ndarray, np.ndarray]] = []
        self.seconds: list[float] = []
        self.evaluations: list[float] = []
        self.solved_at: int | None = None
        self.info: dict = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, info: dict) -> None:
        """Note the present, and what the environment says of it."""
        joints = self._env.robot.robot_state().joints
        self._rows.append((self._env.observation, self._env.arm.target, joints))
        self.info = info
        if info["is_success"] and self.solved_at is None:
            self.solved_at = len(self._rows) - 1

    def episode(self, task: str, success: bool | None, behavior: str, robot: str) -> Episode:
        """As our recorder makes them, with commands as of the row they were given in.

        Args:
            task: its words.
            success: whether it was achieved; None if nobody said.
            behavior: which agent acted.
            robot: on which rung.
        """
        observations, targets, joints = zip(*self._rows, strict=True)
        return Episode(
            cameras=(Camera("left", np.stack([observation.rgb for observation in observations])),),
            states=np.stack([observation.state for observation in observations]).astype(np.float64),
            stamps=np.array([observation.stamp for observation in observations]),
            commands=np.stack([*targets[1:], targets[-1]]),
            joints=np.stack(joints),
            task=task,
            success=success,
            behavior=behavior,
            details={"gripper": self._env.gripper, "source": {"robot_serial": robot}},
        )

    def score(self, index: int, success: bool, judge: str, fault: ArmFault | None) -> EpisodeScore:
        """The row of the table.

        Args:
            index: of the episode.
            success: at the end.
            judge: who said so.
            fault: that ended the episode.
        """
        solved = self.solved_at is not None
        steps = max(0, len(self) - 1)
        return EpisodeScore(
            seed=index,
            success=success,
            success_ever=success or solved,
            steps=self.solved_at if solved else steps,
            final_error_m=self.info.get("error", float("nan")),
            plan_seconds=float(np.median(self.seconds)) if self.seconds else 0.0,
            model_evaluations=float(np.median(self.evaluations)) if self.evaluations else 0.0,
            hand_error_m=self._env.hand_distance() if self._rows else float("nan"),
            fault="" if fault is None else str(fault),
            judge=judge,
        )
