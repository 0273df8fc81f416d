"""Record what an agent does in the simulator as an :class:`Episode`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from data.episode import Camera, Episode
from envs.faults import ArmFault
from envs.franka_env import FrankaEnv
from envs.leash import gripper_target
from envs.observation import Observation
from envs.pose import GRIPPER, integrate
from envs.scene.names import CAMERA

# What DROID calls them.
ROLES = {"left": "ext1", "right": "ext2", "wrist": "wrist"}


def record(
    env: FrankaEnv,
    act: Callable[[Observation], np.ndarray],
    steps: int,
    behavior: str,
    seed: int | None = None,
    details: dict | None = None,
    cameras: tuple[str, ...] = (CAMERA,),
    disturb: Callable[[np.ndarray], np.ndarray] = lambda action: action,
    finished: Callable[[], bool] = lambda: False,
) -> Episode:
    """Run ``act`` for ``steps`` control steps from where the environment was reset to.

    Args:
        env: freshly reset, unwrapped.
        act: from an observation to an action [7].
        steps: at most; the episode has one row more, and ends earlier where a fault stops the arm.
        behavior: label.
        seed: what the environment was reset with.
        details: kept with the episode, JSON-compatible.
        cameras: the episode's, of :data:`envs.scene.names.CAMERAS`; the agent sees the left one all the same.
        disturb: what becomes of an action [7] before it is sent: noise, mistakes.
        finished: asked after every step; when it says so, the episode ends.

    Returns:
        The episode; ``success`` tells whether the task was solved at any moment. Privileged are ``object_position``
        [T, 3] in metres, ``object_rotation`` [T, 3], a rotation vector in radians, and ``meant_command`` [T, 7],
        where the arm would have been sent without the disturbance.
    """
    observations = [env.observation]
    films = [_Film(env, name) for name in cameras]
    joints = [env.simulation.joints()]
    objects, turns = [env.simulation.object_position()], [_turn(env)]
    commands, meant = [], []
    success = False
    for _ in range(steps):
        action = act(observations[-1])
        meant.append(_command(env, action))
        try:
            _, _, _, _, info = env.step(disturb(action))
        except ArmFault:  # the episode ends where the arm was stopped
            break
        commands.append(env.arm.target)
        observations.append(env.observation)
        for film in films:
            film.take()
        joints.append(env.simulation.joints())
        objects.append(env.simulation.object_position())
        turns.append(_turn(env))
        success = success or info["is_success"]
        if finished():
            break
    commands.append(env.arm.target)
    meant = [*meant[: len(observations) - 1], env.arm.target]
    return Episode(
        cameras=tuple(film.camera() for film in films),
        states=np.stack([observation.state for observation in observations]).astype(np.float64),
        commands=np.stack(commands),
        stamps=np.array([observation.stamp for observation in observations]),
        joints=np.stack(joints),
        task=env.task_description,
        success=success,
        behavior=behavior,
        seed=seed,
        privileged={
            "object_position": np.stack(objects),
            "object_rotation": np.stack(turns),
            "meant_command": np.stack(meant),
        },
        details=details or {},
    )


def _command(env: FrankaEnv, action: np.ndarray) -> np.ndarray:
    """Where an action [7] would send the arm: a state [7]."""
    target = env.arm.target
    command = integrate(target, action)
    command[GRIPPER] = gripper_target(target[GRIPPER], env.simulation.closedness(), action[GRIPPER])
    return command


def _turn(env: FrankaEnv) -> np.ndarray:
    """The object's rotation vector [3]."""
    return Rotation.from_matrix(env.simulation.object_matrix()).as_rotvec()


class _Film:
    """What one camera sees in an episode, from its first row on."""

    def __init__(self, env: FrankaEnv, name: str):
        self._env, self._name = env, name
        self._frames: list[np.ndarray] = []
        self._extrinsics: list[np.ndarray] = []
        self.take()

    def take(self) -> None:
        """Add the present row."""
        camera, data = self._env.camera, self._env.data
        self._extrinsics.append(camera.extrinsics(data, self._name))
        # The agent's own picture has been rendered already.
        self._frames.append(self._env.observation.rgb if self._name == CAMERA else camera.render(data, self._name))

    def camera(self) -> Camera:
        """All rows."""
        return Camera(
            serial=self._name,
            frames=np.stack(self._frames),
            role=ROLES[self._name],
            extrinsics=np.stack(self._extrinsics),
            intrinsics=self._env.camera.intrinsics(self._name),
        )
