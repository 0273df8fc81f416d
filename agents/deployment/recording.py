"""Recording of an episode on a robot."""

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

LAB = "VJEPASIM"  # name of the laboratory in recordings of a real robot


class Recording:
    """Records an episode while it runs, a row per observation.

    Attributes:
        info: newest ``info`` of the environment.
    """

    def __init__(self, env: RobotEnv, *, task: str, behavior: str, backend: str, speed: float = 1.0):
        """
        Args:
            env: environment of the robot.
            task: instruction of the task in words.
            behavior: name of the agent.
            backend: name of the backend.
            speed: share of full speed.
        """
        self._env = env
        self._task, self._behavior = task, behavior
        self._details = {
            "arm": env.arm_name,
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
        """Record the observation after a reset."""
        self._began = datetime.now(UTC)
        self._add(info)

    def add(self, step: Step, model_evaluations: float) -> None:
        """Record a step, with the model evaluations of the decision."""
        self._seconds.append(step.seconds)
        self._evaluations.append(model_evaluations)
        self._add(step.info)

    def _add(self, info: dict) -> None:
        self._builder.add_row(info)
        self.info = info
        if info["is_success"] and self._solved_at is None:
            self._solved_at = len(self) - 1

    def save(self, root: Path, index: int, success: bool | None) -> None:
        """Write the recording in DROID's format, if it has two rows or more.

        Args:
            root: folder of the recordings.
            index: index of the episode.
            success: whether the task was solved; None if unknown.
        """
        if len(self) < 2:
            return
        episode = self._builder.build(success=success, behavior=self._behavior, task=self._task, details=self._details)
        if self._env.robot.simulated:
            write_episode(root, index, episode)
        else:
            write_episode(root, index, episode, lab=LAB, when=self._began)

    def score(self, index: int, success: bool, judge: str, fault: ArmFault | None) -> EpisodeScore:
        """Result of the episode.

        Args:
            index: index of the episode.
            success: whether the task was solved at the end.
            judge: name of the judge.
            fault: fault that ended the episode, if any.
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
