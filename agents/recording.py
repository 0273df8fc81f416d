"""What happened in an episode on a robot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from agents.scoring import EpisodeScore
from data.episode import Camera, Episode
from data.formats.droid import write_episode
from envs.faults import ArmFault
from envs.observation import Observation
from envs.robot_env import RobotEnv

LAB = "VJEPASIM"  # where recordings of a real robot are filed


class Recording:
    """Row by row, while the episode goes on.

    Attributes:
        seconds: that each decision took.
        evaluations: of the model, for each decision.
        solved_at: step after which the task's own test was first passed, or None.
        info: the environment's newest.
    """

    def __init__(self, env: RobotEnv, task: str, behavior: str, rung: str, speed: float = 1.0):
        """
        Args:
            env: where it happens.
            task: its words.
            behavior: which agent acts.
            rung: on which it is.
            speed: share of the usual one.
        """
        self._env = env
        self._task, self._behavior = task, behavior
        self._details = {
            "gripper": env.gripper,
            "rung": rung,
            "robot": env.robot.description,
            "camera": env.robot.camera_card,
            "speed": speed,
        }
        self._rows: list[tuple[Observation, np.ndarray, np.ndarray]] = []
        self._began: datetime | None = None
        self.seconds: list[float] = []
        self.evaluations: list[float] = []
        self.solved_at: int | None = None
        self.info: dict = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, info: dict) -> None:
        """Note the present, and what the environment says of it."""
        joints = self._env.robot.robot_state().joints
        self._began = self._began or datetime.now(UTC)
        self._rows.append((self._env.observation, self._env.arm.target, joints))
        self.info = info
        if info["is_success"] and self.solved_at is None:
            self.solved_at = len(self._rows) - 1

    def save(self, root: Path, index: int, success: bool | None) -> None:
        """Write what there is in DROID's layout, if it is an episode: two rows or more.

        Args:
            root: of the collection.
            index: of the episode.
            success: whether it was achieved; None if nobody said.
        """
        if len(self) < 2:
            return
        if self._env.robot.simulated:
            write_episode(root, index, self._episode(success))
        else:
            write_episode(root, index, self._episode(success), LAB, self._began)

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

    def _episode(self, success: bool | None) -> Episode:
        """As our recorder makes them, with commands as of the row they were given in."""
        observations, targets, joints = zip(*self._rows, strict=True)
        return Episode(
            cameras=(Camera("left", np.stack([observation.rgb for observation in observations])),),
            states=np.stack([observation.state for observation in observations]).astype(np.float64),
            stamps=np.array([observation.stamp for observation in observations]),
            commands=np.stack([*targets[1:], targets[-1]]),
            joints=np.stack(joints),
            task=self._task,
            success=success,
            behavior=self._behavior,
            details=self._details,
        )
