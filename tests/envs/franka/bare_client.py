"""A real arm's program for a computer without simulator and model.

It moves the flange forward by 2 cm, and prints by how many metres it has measured it to move.
"""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np

from vjepa_sim.envs import env_id
from vjepa_sim.envs.cameras import open_camera
from vjepa_sim.envs.franka import FrankaArm
from vjepa_sim.envs.franka.franky_driver import FrankyDriver
from vjepa_sim.envs.grippers import open_gripper
from vjepa_sim.envs.safety import SafetyEnvelope, default_limits

FORWARD = np.array([0.02, 0, 0, 0, 0, 0, 0], np.float32)
PERIOD = 1.0
# A simulated robot on a busy machine is late now and then.
LIMITS = replace(default_limits("panda", "robotiq"), max_clock_age=3.0, max_camera_age=3.0)


def through_the_arm(host: str, camera: str, device: str) -> float:
    arm = SafetyEnvelope(
        FrankaArm(FrankyDriver(host), open_gripper("robotiq", device), open_camera(camera, max_age=3.0), period=PERIOD),
        LIMITS,
    )
    try:
        before = arm.reset()
        arm.command(FORWARD)
        after = arm.observe()
    finally:
        arm.close()
    assert after.stamp > before.stamp
    return float(after.state[0] - before.state[0])


def through_gymnasium(host: str, camera: str, device: str) -> float:
    env = gymnasium.make(
        env_id("reach"),
        backend="franka",
        host=host,
        camera=camera,
        gripper_address=device,
        period=PERIOD,
        limits=LIMITS,
    )
    try:
        goal = np.zeros(env.observation_space["goal"].shape, np.uint8)
        before, _ = env.reset(options={"goal": goal})
        after, *_ = env.step(FORWARD)
    finally:
        env.close()
    return float(after["state"][0] - before["state"][0])


def main(way: str, *parts: str) -> None:
    print({"arm": through_the_arm, "gymnasium": through_gymnasium}[way](*parts))
