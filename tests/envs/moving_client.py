"""A program that moves an arm up and down until it is ended: ``python -m tests.envs.moving_client HOST``."""

from __future__ import annotations

import sys

from envs.franka.franky_driver import FrankyDriver
from envs.franka.servo import Servo, ServoSettings


def main(host: str) -> None:
    driver = FrankyDriver(host)
    servo = Servo(driver, ServoSettings(), lambda state, clock_age: None)
    try:
        servo.start(max_force=25.0)
        home = servo.goal
        away = home.copy()
        away[2, 3] += 0.05
        print("moving", flush=True)
        while True:
            for goal in (away, home):
                servo.go(goal)
                servo.wait(lambda: servo.arrived, timeout=30.0)
    finally:
        servo.stop()
        driver.close()


if __name__ == "__main__":
    main(sys.argv[1])
