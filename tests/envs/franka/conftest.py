"""The drivers, and simulated robots to connect to."""

from __future__ import annotations

import pytest

from tests.envs.franka.motion import MAX_FORCE, unwatched
from tests.envs.loopback import free_address
from vjepa_sim.envs.franka import open_driver
from vjepa_sim.envs.franka.servo import Servo, ServoSettings
from vjepa_sim.envs.loopback import LoopbackRobot

PACKAGES = {"franky": "franky", "franka-rs": "franka"}


@pytest.fixture(params=PACKAGES)
def library(request):
    """The driver to test."""
    pytest.importorskip(PACKAGES[request.param], exc_type=ImportError)
    return request.param


@pytest.fixture(scope="module")
def shared_robot():
    with LoopbackRobot(free_address(), hand=True) as robot:
        yield robot


@pytest.fixture
def robot(shared_robot):
    yield shared_robot
    shared_robot.resume()
    shared_robot.user_stop(False)
    shared_robot.force([0.0, 0.0, 0.0])


@pytest.fixture
def mortal():
    with LoopbackRobot(free_address()) as robot:
        yield robot


@pytest.fixture
def connect(library):
    """Makes servos that hold the arm; ends them after the test."""
    made = []

    def make(robot, watch=unwatched):
        driver = open_driver(library, robot.host)
        servo = Servo(driver, ServoSettings(), watch)
        made.append((driver, servo))
        servo.start(MAX_FORCE)
        return servo, driver

    yield make
    for driver, servo in made:
        servo.stop()
        driver.close()


@pytest.fixture
def driver(robot, library):
    driver = open_driver(library, robot.host)
    yield driver
    driver.close()
