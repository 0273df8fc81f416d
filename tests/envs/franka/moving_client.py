"""Moves an arm until it is ended: ``python -m tests.envs.franka.moving_client DRIVER HOST pose|joints|arm``."""

from __future__ import annotations

import itertools
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.envs.franka.grey import GreySource
from vjepa_sim.envs.arms.panda import HOME_JOINTS
from vjepa_sim.envs.cameras import Grabber
from vjepa_sim.envs.franka import FrankaArm, open_driver
from vjepa_sim.envs.franka.driver import Driver
from vjepa_sim.envs.franka.joint_motion import move_joints
from vjepa_sim.envs.franka.servo import Servo, ServoSettings
from vjepa_sim.envs.grippers import open_gripper
from vjepa_sim.envs.loopback.robotiq import LoopbackRobotiq
from vjepa_sim.envs.robot import RobotState
from vjepa_sim.envs.safety import SafetyEnvelope, default_limits


def main(library: str, host: str, kind: str) -> None:
    driver = open_driver(library, host)
    try:
        print("moving", flush=True)
        {"pose": up_and_down, "joints": turn, "arm": command}[kind](driver)
    finally:
        driver.close()


def unwatched(state: RobotState, clock_age: float) -> None:
    """Whatever happens."""


def up_and_down(driver: Driver) -> None:
    servo = Servo(driver, ServoSettings(), unwatched)
    try:
        servo.start(max_force=25.0)
        home = servo.state.pose
        away = home.copy()
        away[2, 3] += 0.05
        while True:
            for goal in (away, home):
                servo.go(goal)
                servo.wait(lambda: servo.arrived, timeout=30.0)
    finally:
        servo.stop()


def turn(driver: Driver) -> None:
    while True:
        for by in (0.3, -0.3):
            move_joints(driver, HOME_JOINTS + by, speed=0.15, max_force=25.0, watch=unwatched)


def command(driver: Driver) -> None:
    """The whole arm under its envelope, as a deployment has it."""
    with tempfile.TemporaryDirectory() as folder, closing(LoopbackRobotiq(Path(folder) / "robotiq")) as device:
        parts = driver, open_gripper("robotiq", str(device.link)), Grabber(GreySource(), max_age=3.0)
        limits = replace(default_limits("panda", "robotiq"), max_clock_age=3.0, max_camera_age=3.0)
        with closing(SafetyEnvelope(FrankaArm(*parts), limits)) as arm:
            arm.reset()
            for step in itertools.cycle([-0.075, 0.075]):
                arm.command(np.array([0, 0, step, 0, 0, 0, 0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
