"""A program that moves an arm until it is ended: ``python -m tests.envs.moving_client DRIVER HOST pose|joints``."""

from __future__ import annotations

import sys

from envs.franka import open_driver
from envs.franka.driver import Driver, RobotState
from envs.franka.joint_motion import move_joints
from envs.franka.servo import Servo, ServoSettings
from envs.panda import HOME_JOINTS


def main(library: str, host: str, kind: str) -> None:
    driver = open_driver(library, host)
    try:
        print("moving", flush=True)
        {"pose": up_and_down, "joints": turn}[kind](driver)
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
            move_joints(driver, HOME_JOINTS + by, 0.15, max_force=25.0, watch=unwatched)


if __name__ == "__main__":
    main(*sys.argv[1:])
