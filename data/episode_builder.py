"""Build an :class:`.Episode` row by row, while it goes on in an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.envs.goal_image_env import GoalImageEnv
from vjepa_sim.envs.leash import gripper_target
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.pose import GRIPPER, integrate
from vjepa_sim.envs.scene.cameras import CAMERAS, LEFT

if TYPE_CHECKING:
    from vjepa_sim.envs.sim_env import SimEnv


class EpisodeBuilder:
    """What the agent's camera and the arm tell, from a reset on; on any arm.

    Attributes:
        env: where the episode goes on.
        success_ever: whether the task was solved at any moment so far.
    """

    def __init__(self, env: GoalImageEnv):
        """
        Args:
            env: unwrapped; reset it before the first :meth:`add_row`.
        """
        self.env = env
        self.success_ever = False
        self._observations: list[Observation] = []
        self._targets: list[np.ndarray] = []
        self._joints: list[np.ndarray | None] = []

    def __len__(self) -> int:
        return len(self._observations)

    def add_row(self, info: dict[str, Any]) -> None:
        """Add the present moment: after a reset, and after every step.

        Args:
            info: the environment's newest.
        """
        self._observations.append(self.env.observation)
        self._targets.append(self.env.arm.target)
        self._joints.append(self.env.arm.status().joints)
        self.success_ever = self.success_ever or bool(info["is_success"])

    def build(
        self,
        *,
        success: bool | None,
        behavior: str,
        task: str = "",
        seed: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> Episode:
        """The episode so far; two rows at least.

        Args:
            success: whether the task was achieved; None if nobody said.
            behavior: which policy acted.
            task: what was asked for; the environment's own words if not given.
            seed: what the environment was reset with, if the scene was drawn from it.
            details: kept with the episode, JSON-compatible.
        """
        known = [joints for joints in self._joints if joints is not None]
        return Episode(
            cameras=self._cameras(),
            states=np.stack([observation.state for observation in self._observations]).astype(np.float64),
            stamps=np.array([observation.stamp for observation in self._observations]),
            commands=np.stack([*self._targets[1:], self._targets[-1]]),
            joints=np.stack(known) if len(known) == len(self) else None,
            task=task or self.env.task_description,
            success=success,
            behavior=behavior,
            seed=seed,
            privileged=self._privileged(),
            details=details or {},
        )

    def _cameras(self) -> tuple[Camera, ...]:
        return (Camera(LEFT.name, np.stack([observation.rgb for observation in self._observations]), role=LEFT.role),)

    def _privileged(self) -> dict[str, np.ndarray]:
        """Arrays [T, …] that only a simulator knows."""
        return {}


class SimEpisodeBuilder(EpisodeBuilder):
    """The same in the simulator: any of its cameras, and what only the simulator knows.

    Privileged are ``object_position`` [T, 3] in metres, ``object_rotation`` [T, 3], a rotation vector in radians, and
    ``meant_command`` [T, 7], where the arm would have been sent without the disturbance of the step that follows.
    """

    env: SimEnv

    def __init__(self, env: SimEnv, cameras: tuple[str, ...] = (LEFT.name,)):
        """
        Args:
            env: unwrapped.
            cameras: names of the episode's; the agent sees through the left one all the same.
        """
        super().__init__(env)
        self._videos = [_CameraVideo(env, name) for name in cameras]
        self._positions: list[np.ndarray] = []
        self._rotations: list[np.ndarray] = []
        self._meant: list[np.ndarray] = []
        self._closedness = 0.0

    def add_row(self, info: dict[str, Any], meant: np.ndarray | None = None) -> None:
        """Add the present moment.

        Args:
            info: the environment's newest.
            meant: the action [7] that the step before should have been; None after a reset.
        """
        if meant is not None:
            self._meant.append(self._command(meant))
        super().add_row(info)
        simulation = self.env.simulation
        self._closedness = simulation.closedness()
        for video in self._videos:
            video.add_frame()
        self._positions.append(simulation.object_position())
        self._rotations.append(Rotation.from_matrix(simulation.object_matrix()).as_rotvec())

    def _command(self, action: np.ndarray) -> np.ndarray:
        """Where an action [7] would have sent the arm from the row before: a state [7]."""
        target = self._targets[-1]
        command = integrate(target, action)
        command[GRIPPER] = gripper_target(target[GRIPPER], self._closedness, action[GRIPPER])
        return command

    def _cameras(self) -> tuple[Camera, ...]:
        return tuple(video.camera() for video in self._videos)

    def _privileged(self) -> dict[str, np.ndarray]:
        return {
            "object_position": np.stack(self._positions),
            "object_rotation": np.stack(self._rotations),
            "meant_command": np.stack([*self._meant, self._targets[-1]]),
        }


class _CameraVideo:
    """What one simulated camera sees in an episode."""

    def __init__(self, env: SimEnv, name: str):
        self._env, self._spec = env, CAMERAS[name]
        self._frames: list[np.ndarray] = []
        self._extrinsics: list[np.ndarray] = []

    def add_frame(self) -> None:
        renderer, data, name = self._env.renderer, self._env.data, self._spec.name
        self._extrinsics.append(renderer.extrinsics(data, name))
        # The agent's own image has been rendered already.
        self._frames.append(self._env.observation.rgb if self._spec is LEFT else renderer.render(data, name))

    def camera(self) -> Camera:
        return Camera(
            serial=self._spec.name,
            frames=np.stack(self._frames),
            role=self._spec.role,
            extrinsics=np.stack(self._extrinsics),
            intrinsics=self._env.renderer.intrinsics(self._spec.name),
        )
