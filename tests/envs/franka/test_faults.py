"""How soon each fault of the robot is raised, and that the arm rests after it."""

from __future__ import annotations

import time
from unittest.mock import MagicMock, PropertyMock

import numpy as np
import pytest

from tests.envs.loopback import REST, wait_for_rest, wait_until
from vjepa_sim.envs.faults import (
    ArmFault,
    ConnectionLost,
    ForceExceeded,
    NotFinite,
    Reflex,
    StaleRobotClock,
    UserStopped,
)

pytest.importorskip("franka_sim", exc_type=ImportError)

from tests.envs.franka.motion import AT_ONCE, MAX_FORCE, POSITION, moved, settle, start_moving, unwatched, works_again
from vjepa_sim.envs.franka import FrankyDriver, open_driver
from vjepa_sim.envs.franka.servo import Servo, ServoSettings
from vjepa_sim.envs.loopback import LoopbackRobot

pytestmark = pytest.mark.slow

SILENCE = 1.0  # s in which a silent robot must be given up


def latency(servo, fault, inject):
    """Seconds from an injection to the fault."""
    start = time.monotonic()
    inject()
    with pytest.raises(fault):
        wait_until(lambda: servo.state is None, timeout=5.0)
    passed = time.monotonic() - start
    assert type(servo._fault) is fault
    with pytest.raises(fault):
        servo.go(servo._goal)
    return passed


def test_reflex(robot, connect):
    servo, driver = connect(robot)
    start_moving(robot, servo)
    assert latency(servo, Reflex, robot.reflex) < AT_ONCE
    wait_for_rest(robot)
    servo.stop()
    with pytest.raises(Reflex):
        servo.start(MAX_FORCE)
    with pytest.raises(Reflex):  # the robot says so too
        Servo(driver, ServoSettings(), unwatched).start(MAX_FORCE)
    driver.close()
    works_again(robot, connect)


def test_user_stop(robot, connect, library):
    servo, driver = connect(robot)
    start_moving(robot, servo)
    assert latency(servo, UserStopped, lambda: robot.user_stop(True)) < AT_ONCE
    wait_for_rest(robot)
    servo.stop()
    with pytest.raises(UserStopped):
        servo.start(MAX_FORCE)
    driver.close()
    again = open_driver(library, robot.host)  # the button outlives the connection
    with pytest.raises(UserStopped):
        again.start(MAX_FORCE)
    again.close()
    robot.user_stop(False)
    works_again(robot, connect)


def test_force_is_stopped_in_the_robots_own_loop(robot, connect):
    servo, driver = connect(robot)
    start_moving(robot, servo)
    robot.force([0.0, 0.0, 20.0])
    wait_until(lambda: servo.state.force[2] > 19.0)
    assert latency(servo, ForceExceeded, lambda: robot.force([0.0, 18.0, -20.0])) < AT_ONCE
    assert servo._fault.limit == "max_force" and servo._fault.measured == pytest.approx(np.hypot(18, 20), abs=0.1)
    robot.force([0.0, 0.0, 0.0])
    wait_for_rest(robot)
    servo.stop()
    driver.close()
    works_again(robot, connect)


@pytest.mark.parametrize("library", ["franka-rs"], indirect=True)
def test_robot_stops_itself_at_a_force_while_nobody_asks(robot, driver, connect):
    driver.start(MAX_FORCE)
    goal = moved(driver.read().pose, axis=2, by=0.03)
    driver.follow(goal)
    wait_until(lambda: robot.moving() > 3 * REST)
    robot.force([0.0, 0.0, -1.2 * MAX_FORCE])
    wait_for_rest(robot)
    assert goal[2, 3] - robot.flange()[2, 3] > POSITION
    with pytest.raises(ForceExceeded):
        driver.check()
    driver.stop()
    robot.force([0.0, 0.0, 0.0])
    driver.close()
    works_again(robot, connect)


def test_connection_for_commands_drops(robot, connect):
    servo, driver = connect(robot)
    start_moving(robot, servo)
    assert latency(servo, ConnectionLost, robot.drop_tcp) < AT_ONCE
    wait_for_rest(robot)

    def is_lost():
        try:
            driver.read()
        except ConnectionLost:
            return True
        return False

    wait_until(is_lost)  # at once, or after a state that had arrived before
    servo.stop()
    driver.close()
    works_again(robot, connect)


def test_robot_is_gone(mortal, connect, library):
    servo, driver = connect(mortal)
    assert latency(servo, ConnectionLost, mortal.kill) < AT_ONCE
    servo.stop()
    driver.close()
    with pytest.raises(ConnectionLost, match="FCI"):
        open_driver(library, mortal.host)
    with LoopbackRobot(mortal.host) as reborn:
        works_again(reborn, connect)


def no_old_states(state, clock_age):
    if clock_age > 0.2:
        raise StaleRobotClock(f"{clock_age:.2f} s.", "clock_age", clock_age)


def test_silent_robot_is_noticed_by_its_clock(robot, connect):
    servo, driver = connect(robot, no_old_states)
    start_moving(robot, servo)
    try:
        assert latency(servo, StaleRobotClock, robot.stall) < AT_ONCE
    finally:
        robot.resume()
    servo.stop()
    driver.close()
    wait_for_rest(robot)
    works_again(robot, connect)


def test_silent_robot_is_lost_in_the_end(robot, connect):
    servo, driver = connect(robot)
    start_moving(robot, servo)
    try:
        assert latency(servo, ConnectionLost, robot.stall) < SILENCE
    finally:
        robot.resume()
    driver.close()
    wait_for_rest(robot)


def test_a_short_silence_is_survived_without_a_jump(robot, connect):
    ages = [0.0]
    servo, _ = connect(robot, lambda state, clock_age: ages.append(clock_age))
    goal = moved(servo._goal, axis=1, by=0.05)
    servo.go(goal)
    robot.stall()
    try:
        wait_until(lambda: ages[-1] > 0.15)
    finally:
        robot.resume()
    settle(robot, servo, goal)


def test_numbers_that_are_not_finite(robot, connect):
    servo, driver = connect(robot)
    goal, start = servo._goal, servo.state
    bad = goal.copy()
    bad[1, 3] = np.nan
    with pytest.raises(NotFinite):
        servo.go(bad)
    with pytest.raises(NotFinite):
        driver.follow(bad)
    servo.wait(lambda: servo.state.clock > start.clock + 0.2, timeout=20.0)
    assert np.array_equal(servo._goal, goal)
    assert np.linalg.norm(servo.state.pose[:3, 3] - start.pose[:3, 3]) < 1e-3


def test_a_mistake_in_the_watch_stops_the_arm(robot, connect):
    mistakes = []

    def watch(state, clock_age):
        if mistakes:
            raise ZeroDivisionError("oops")

    servo, driver = connect(robot, watch)
    start_moving(robot, servo)
    assert latency(servo, ArmFault, lambda: mistakes.append(1)) < AT_ONCE
    wait_for_rest(robot)
    servo.stop()
    assert driver.read().mode == "Idle"


@pytest.mark.parametrize("broken", ["is_in_control", "move", "join_motion"])
def test_a_stop_that_fails_is_followed_by_the_next_one(broken):
    pytest.importorskip("franky", exc_type=ImportError)
    robot = MagicMock(is_in_control=True)
    robot.join_motion.return_value = False
    if broken == "is_in_control":
        type(robot).is_in_control = PropertyMock(side_effect=RuntimeError)
    else:
        getattr(robot, broken).side_effect = RuntimeError
    driver = FrankyDriver.__new__(FrankyDriver)
    driver._franky, driver._robot, driver._motion, driver._states = MagicMock(), robot, object(), None
    driver.stop()
    robot.stop.assert_called_once_with()
