"""Record what an agent does in the simulator as an :class:`Episode`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.episode import Camera, Episode
from envs.franka_env import FrankaEnv
from envs.observation import Observation

CAMERA_SERIAL = "left"


def record(
    env: FrankaEnv,
    act: Callable[[Observation], np.ndarray],
    steps: int,
    behavior: str,
    seed: int | None = None,
    details: dict | None = None,
) -> Episode:
    """Run ``act`` for ``steps`` control steps from where the environment was reset to.

    Args:
        env: freshly reset, unwrapped.
        act: from an observation to an action [7].
        steps: the episode has one row more.
        behavior: label.
        seed: what the environment was reset with.
        details: kept with the episode, JSON-compatible.

    Returns:
        The episode; ``success`` tells whether the task was solved at any moment.
    """
    observations = [env.observation]
    joints = [env.simulation.joints()]
    objects = [env.simulation.object_position()]
    commands = []
    success = False
    for _ in range(steps):
        _, _, _, _, info = env.step(act(observations[-1]))
        commands.append(env.arm.target)
        observations.append(env.observation)
        joints.append(env.simulation.joints())
        objects.append(env.simulation.object_position())
        success = success or info["is_success"]
    commands.append(env.arm.target)
    frames = np.stack([observation.rgb for observation in observations])
    return Episode(
        camera=Camera(CAMERA_SERIAL, frames, env.camera.extrinsics(), env.camera.intrinsics()),
        states=np.stack([observation.state for observation in observations]).astype(np.float64),
        commands=np.stack(commands),
        stamps=np.array([observation.stamp for observation in observations]),
        joints=np.stack(joints),
        task=env.task_description,
        success=success,
        behavior=behavior,
        seed=seed,
        privileged={"object_position": np.stack(objects)},
        details=details or {},
    )
