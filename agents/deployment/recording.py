"""What happened in an episode on a robot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from vjepa_sim.agents.evaluation.statistics import EpisodeScore
from vjepa_sim.agents.rollout import Step
from vjepa_sim.data.episode_builder import EpisodeBuilder
from vjepa_sim.data.formats.droid import write_episode
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.robot_env import RobotEnv

LAB = "VJEPASIM"  # where recordings of a real robot are filed


class Recording:
    """Row by row, while the episode goes on.

    Attributes:
        info: the environment's newest.
    """

    def __init__(self, env: RobotEnv, *, task: str, behavior: str, backend: str, speed: float = 1.0):
        """
        Args:
            env: where it happens.
            task: its words.
            behavior: which agent acts.
            backend: name of the back end.
            speed: share of the usual one.
        """
        self._env = env
        self._task, self._behavior = task, behavior
        self._details = {
            "gripper": env.gripper,
            "rung": backend,
            "robot": env.robot.description,
            "camera": env.robot.camera_card,
            "speed": speed,
        }
        self._builder = EpisodeBuilder(env)
        self._began: datetime | None = None
        self._seconds: list[float] = []
        self._evaluations: list[float] = []
        self._solved_at: int | None = None
        self.info: dict = {}

    def __len__(self) -> int:
        return len(self._builder)

    def begin(self, info: dict) -> None:
        """Note the moment after a reset."""
        self._began = datetime.now(UTC)
        self._add(info)

    def add(self, step: Step, model_evaluations: float) -> None:
        """Note a step that was taken, and what the decision took."""
        self._seconds.append(step.seconds)
        self._evaluations.append(model_evaluations)
        self._add(step.info)

    def _add(self, info: dict) -> None:
        self._builder.add_row(info)
        self.info = info
        if info["is_success"] and self._solved_at is None:
            self._solved_at = len(self) - 1

    def save(self, root: Path, index: int, success: bool | None) -> None:
        """Write what there is in DROID's layout, if it is an episode: two rows or more.

        Args:
            root: of the collection.
            index: of the episode.
            success: whether it was achieved; None if nobody said.
        """
        if len(self) < 2:
            return
        episode = self._builder.build(success=success, behavior=self._behavior, task=self._task, details=self._details)
        if self._env.robot.simulated:
            write_episode(root, index, episode)
        else:
            write_episode(root, index, episode, LAB, self._began)

    def score(self, index: int, success: bool, judge: str, fault: ArmFault | None) -> EpisodeScore:
        """The row of the table.

        Args:
            index: of the episode.
            success: at the end.
            judge: who said so.
            fault: that ended the episode.
        """
        steps = max(0, len(self) - 1)
        return EpisodeScore(
            seed=index,
            success=success,
            success_ever=success or self._solved_at is not None,
            steps=steps if self._solved_at is None else self._solved_at,
            final_error_m=self.info.get("error", float("nan")),
            plan_seconds=float(np.median(self._seconds)) if self._seconds else 0.0,
            model_evaluations=float(np.median(self._evaluations)) if self._evaluations else 0.0,
            hand_error_m=self._env.flange_distance() if len(self) else float("nan"),
            fault="" if fault is None else str(fault),
            judge=judge,
        )
