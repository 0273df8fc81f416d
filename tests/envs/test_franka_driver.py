"""The drivers and the servo against Franka's real protocol, on a loopback address."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from unittest.mock import MagicMock, PropertyMock

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.envs.loopback import FCI_PORT, REST, free_address, wait_for_rest, wait_until
from vjepa_sim.envs.arms.panda import HOME_JOINTS, flange_poses
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import (
    ArmFault,
    ConnectionLost,
    ForceExceeded,
    NotFinite,
    Reflex,
    StaleRobotClock,
    UserStopped,
)
from vjepa_sim.envs.pose import euler_to_matrix

pytest.importorskip("franka_sim", exc_type=ImportError)

from vjepa_sim.envs.franka import FrankyDriver, connecting, open_driver
from vjepa_sim.envs.franka.joint_motion import move_joints
from vjepa_sim.envs.franka.servo import Servo, ServoSettings
from vjepa_sim.envs.loopback import LoopbackRobot

AT_ONCE = 0.3  # s in which a fault must be known
SILENCE = 1.0  # s in which a silent robot must be given up
POSITION, TURN = 0.005, 0.02  # m and rad that the settled arm may be off
MAX_FORCE = 25.0


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


def unwatched(state, clock_age):
    pass


def moved(pose, axis=0, by=0.05):
    pose = pose.copy()
    pose[axis, 3] += by
    return pose


def turned(pose, by=0.2):
    pose = pose.copy()
    pose[:3, :3] = Rotation.from_rotvec([0.0, by, 0.0]).as_matrix() @ pose[:3, :3]
    return pose


def close_to(pose, goal):
    turn = Rotation.from_matrix(pose[:3, :3] @ goal[:3, :3].T).magnitude()
    return np.linalg.norm(pose[:3, 3] - goal[:3, 3]) < POSITION and turn < TURN


def settle(robot, servo, goal):
    """Until the arm is there, and is still there at rest."""

    def settled():
        return close_to(servo.state.pose, goal) and robot.moving() < REST and close_to(robot.flange(), goal)

    wait_until(lambda: servo.arrived and settled())


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


def start_moving(robot, servo):
    servo.go(moved(servo._goal, axis=2, by=0.1))
    wait_until(lambda: robot.moving() > 3 * REST)


def works_again(robot, connect):
    servo, _ = connect(robot)
    goal = moved(servo._goal, axis=2, by=-0.01)
    servo.go(goal)
    assert servo.wait(lambda: servo.arrived, timeout=20.0)


# --- motion -----------------------------------------------------------------------------------------------------------


def test_the_flange_is_reported_whatever_the_tool(robot, connect):
    _, driver = connect(robot)
    state = driver.read()
    expected = flange_poses(state.joints[None])[0]
    turn = Rotation.from_matrix(state.pose[:3, :3]) * Rotation.from_matrix(euler_to_matrix(expected[3:])).inv()
    assert np.allclose(state.pose[:3, 3], expected[:3], atol=1e-3)
    assert turn.magnitude() < 1e-3
    assert np.allclose(state.pose[:3, :3] @ state.pose[:3, :3].T, np.eye(3), atol=1e-9)


def test_holds(robot, connect):
    servo, _ = connect(robot)
    start = servo.state
    servo.wait(lambda: servo.state.clock > start.clock + 0.5, timeout=20.0)
    assert np.linalg.norm(servo.state.pose[:3, 3] - start.pose[:3, 3]) < 1e-3
    assert servo.state.mode == "Move"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_arrives_and_hardly_swings_over(robot, connect, axis):
    servo, _ = connect(robot)
    goal = moved(servo._goal, axis)
    servo.go(goal)
    reached = []
    servo.wait(lambda: reached.append(servo.state.pose[axis, 3]) or close_to(servo.state.pose, goal), timeout=20.0)
    settle(robot, servo, goal)
    assert max(*reached, servo.state.pose[axis, 3]) - goal[axis, 3] < POSITION


def test_turns(robot, connect):
    servo, _ = connect(robot)
    goal = turned(servo._goal)
    servo.go(goal)
    settle(robot, servo, goal)


def test_small_moves_do_not_drift(robot, connect):
    servo, _ = connect(robot)
    start = servo._goal
    for axis, by in [(0, 0.01), (1, 0.01), (0, -0.01), (1, -0.01)] * 10:
        servo.go(moved(servo._goal, axis, by))
        assert servo.wait(lambda: servo.arrived, timeout=20.0)
    assert np.allclose(servo._goal, start)
    settle(robot, servo, start)


def test_stop_leaves_the_arm_at_rest(robot, connect):
    servo, driver = connect(robot)
    start_moving(robot, servo)
    servo.stop()
    wait_for_rest(robot, timeout=2.0)
    assert driver.read().mode == "Idle"
    servo.start(MAX_FORCE)  # and it can go on
    servo.go(moved(servo._goal, axis=2, by=-0.02))
    assert servo.wait(lambda: servo.arrived, timeout=20.0)


# --- faults -----------------------------------------------------------------------------------------------------------


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
    with pytest.raises(ConnectionLost):
        driver.read()
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


# --- from posture to posture ------------------------------------------------------------------------------------------


@pytest.fixture
def driver(robot, library):
    driver = open_driver(library, robot.host)
    yield driver
    driver.close()


def test_moves_joints(robot, driver):
    for joints in (HOME_JOINTS + [0.2, -0.2, 0.2, 0.2, -0.2, 0.2, 0.2], HOME_JOINTS):
        move_joints(driver, joints, 0.15, MAX_FORCE, unwatched)
        assert np.allclose(robot.joints(), joints, atol=0.02)
        assert driver.read().mode == "Idle"
        wait_for_rest(robot)


@pytest.mark.parametrize(
    ("fault", "inject"),
    [
        (Reflex, lambda robot: robot.reflex()),
        (UserStopped, lambda robot: robot.user_stop(True)),
        (ForceExceeded, lambda robot: robot.force([0.0, 18.0, -20.0])),
        (ConnectionLost, lambda robot: robot.drop_tcp()),
    ],
)
def test_a_fault_ends_the_way_to_a_posture(robot, driver, connect, fault, inject):
    raised = []

    def run():
        try:
            move_joints(driver, robot.joints() + [0.5, 0, 0, 0, 0, 0, 0], 0.15, MAX_FORCE, unwatched)
        except ArmFault as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: robot.moving() > 3 * REST)
    inject(robot)
    thread.join(5.0)
    assert [type(error) for error in raised] == [fault]
    wait_for_rest(robot)
    robot.user_stop(False)
    robot.force([0.0, 0.0, 0.0])
    driver.close()
    works_again(robot, connect)


def test_joints_that_are_not_finite(driver):
    driver.start_joints(MAX_FORCE)
    with pytest.raises(NotFinite):
        driver.follow_joints(np.full(7, np.nan), np.zeros(7))
    driver.check()


# --- connecting -------------------------------------------------------------------------------------------------------


def test_second_client_does_not_hang(robot, connect, library, monkeypatch):
    servo, driver = connect(robot)
    with monkeypatch.context() as patch:
        patch.setattr(connecting, "CONNECT_TIMEOUT", 0.5)
        start = time.monotonic()
        with pytest.raises(ConnectionLost, match="another program"):
            open_driver(library, robot.host)
        assert time.monotonic() - start < 1.0
    assert servo.running and servo.state.mode == "Move"
    servo.stop()
    driver.close()
    works_again(robot, connect)  # the client that gave up has not taken the robot after all


@pytest.fixture
def panda():
    """Answers as a robot of version 5 does, and sends no states. Its address, and the versions it was asked for."""
    address, asked = free_address(), []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, FCI_PORT))
        listener.listen()
        threading.Thread(target=shake_hands, args=(listener, asked), daemon=True).start()
        yield address, asked


def shake_hands(listener, asked):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            command, number, size = struct.unpack("<III", client.recv(12))
            asked.append(struct.unpack("<HH", client.recv(size - 12))[0])
            client.sendall(struct.pack("<IIIBH", command, number, 15, asked[-1] != 5, 5))
            client.recv(1)  # until the client has read it and hung up


def test_franky_for_robots_of_another_version_is_named(panda):
    pytest.importorskip("franky", exc_type=ImportError)
    with pytest.raises(UserError) as raised:
        open_driver("franky", panda[0])
    assert (
        "pip install --force-reinstall --no-deps "
        '--index-url "https://timschneider42.github.io/franky/whl/by-robot-server-version/5/" franky-control'
    ) in str(raised.value)
    assert 'pip install "vjepa-sim[franka-rs]"' in str(raised.value)


def test_franka_rs_shakes_hands_with_a_robot_of_version_5(panda):
    """And then waits for states; more of version 5 is not tested."""
    pytest.importorskip("franka", exc_type=ImportError)
    address, asked = panda
    with pytest.raises(ConnectionLost, match="UDP"):
        open_driver("franka-rs", address)
    assert asked == [10, 5]


@pytest.mark.parametrize(
    ("library", "package", "extra"), [("franky", "franky", "franka"), ("franka-rs", "franka", "franka-rs")]
)
def test_missing_package_names_the_extra(monkeypatch, library, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf'pip install "vjepa-sim\[{extra}\]"'):
        open_driver(library, "127.0.0.1")


def test_unknown_driver_names_the_known_ones():
    with pytest.raises(UserError, match="franka-rs"):
        open_driver("franka_rs", "127.0.0.1")


def test_no_robot_at_all(library):
    with pytest.raises(ConnectionLost, match="FCI"):
        open_driver(library, free_address())


# --- a program that ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
@pytest.mark.parametrize("kind", ["pose", "joints", "arm"])
def test_arm_rests_when_its_program_ends(robot, connect, library, kind, end):
    command = [sys.executable, "-m", "tests.envs.moving_client", library, robot.host, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "moving\n", client.stderr.read()
        wait_until(lambda: robot.moving() > 3 * REST or client.poll() is not None)
        assert client.poll() is None, client.stderr.read()
        client.send_signal(end)
        _, errors = client.communicate(timeout=20.0)
    assert client.returncode == -end, errors
    assert end == signal.SIGKILL or errors.rstrip().endswith("KeyboardInterrupt")
    wait_for_rest(robot, timeout=2.0)
    works_again(robot, connect)
