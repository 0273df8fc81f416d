"""Build an :class:`.Episode` row by row while it runs in an environment."""

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
    """Records the agent's camera and the arm from a reset on; for any arm.

    Attributes:
        env: The environment recorded.
        success_ever: Whether the task has been solved at any moment so far.
    """

    def __init__(self, env: GoalImageEnv):
        """
        Args:
            env: Unwrapped environment; reset it before the first :meth:`add_row`.
        """
        self.env = env
        self.success_ever = False
        self._observations: list[Observation] = []
        self._targets: list[np.ndarray] = []
        self._joints: list[np.ndarray | None] = []

    def __len__(self) -> int:
        return len(self._observations)

    def add_row(self, info: dict[str, Any]) -> None:
        """Record the current moment: after a reset, and after every step.

        Args:
            info: The environment's latest ``info``.
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
        """The episode so far.

        Args:
            success: Whether the task was achieved; None if unknown.
            behavior: Name of the policy that acted.
            task: Task description; the environment's own if empty.
            seed: Seed of the scene, if it was drawn from one.
            details: Further values kept with the episode, JSON-compatible.

        Raises:
            UserError: There are fewer than 2 rows.
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
        """Arrays [T, …] available in simulation only."""
        return {}


class SimEpisodeBuilder(EpisodeBuilder):
    """Episode builder for the simulator, with any of its cameras and with privileged arrays.

    Privileged are ``object_position`` [T, 3] in metres, ``object_rotation`` [T, 3], a rotation vector in radians, and
    ``meant_command`` [T, 7], the command of the step that follows without its disturbance.
    """

    env: SimEnv

    def __init__(self, env: SimEnv, cameras: tuple[str, ...] = (LEFT.name,)):
        """
        Args:
            env: Unwrapped environment.
            cameras: Names of the cameras to record; the agent's is always the left one.
        """
        super().__init__(env)
        self._videos = [_CameraVideo(env, name) for name in cameras]
        self._positions: list[np.ndarray] = []
        self._rotations: list[np.ndarray] = []
        self._meant: list[np.ndarray] = []
        self._closedness = 0.0

    def add_row(self, info: dict[str, Any], meant: np.ndarray | None = None) -> None:
        """Record the current moment.

        Args:
            info: The environment's latest ``info``.
            meant: The action [7] intended for the last step; None after a reset.
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
        """The state [7] that an action [7] commands from the row before."""
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
    """The video of one simulated camera in an episode."""

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
