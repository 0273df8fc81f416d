"""What the servo and the way home make of any driver, without a robot and without a network."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.envs.franka.obedient import Obedient
from tests.envs.loopback import FCI_PORT, free_address, wait_until
from vjepa_sim.envs.arms.panda import HOME_JOINTS, JOINT_SPEEDS
from vjepa_sim.envs.faults import ConnectionLost, UnreachablePose
from vjepa_sim.envs.franka import clock
from vjepa_sim.envs.franka.clock import PAUSE, SILENCE, ClockWatch
from vjepa_sim.envs.franka.connection import Connection
from vjepa_sim.envs.franka.joint_motion import move_joints
from vjepa_sim.envs.franka.newest import Newest
from vjepa_sim.envs.franka.servo import Servo, ServoSettings


def unwatched(state, clock_age):
    pass


@pytest.fixture
def now(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_a_clock_that_stands_still_is_a_lost_connection(now):
    watch, looks = ClockWatch(5.0), []
    with pytest.raises(ConnectionLost):
        while True:
            now.seconds += 0.02
            looks.append(watch.update(5.0))
    assert np.allclose(np.diff(looks), 0.02)
    assert looks[-1] <= SILENCE < now.seconds < SILENCE + 0.05


def test_a_clock_that_moves_is_young(now):
    watch = ClockWatch(5.0)
    now.seconds = 0.05
    assert watch.update(5.0) == pytest.approx(0.05)
    now.seconds = 0.1
    assert watch.update(5.1) == 0.0


def test_only_time_in_which_we_looked_counts(now):
    watch = ClockWatch(5.0)
    now.seconds = 10.0
    assert watch.update(5.0) == PAUSE


def test_a_silent_robot_stops_the_servo_though_nobody_watches():
    driver = Obedient()
    servo = Servo(driver, ServoSettings(), unwatched)
    servo.start(25.0)
    assert driver.moving
    driver.step = 0.0
    with pytest.raises(ConnectionLost):
        servo.wait(lambda: False, timeout=10.0)
    servo.stop()
    assert not driver.moving


def test_joints_travel_straight_and_no_faster_than_told():
    driver, way = Obedient(), np.array([0.1, -0.2, 0.0, 0.05, 0.1, -0.1, 0.2])
    move_joints(driver, HOME_JOINTS + way, speed=0.5, max_force=25.0, watch=unwatched)
    assert np.allclose(driver.state.joints, HOME_JOINTS + way)
    assert not driver.moving
    speeds = np.array(driver.speeds)
    assert np.allclose(np.cross(speeds[:, [0, 1, 6]], way[[0, 1, 6]]), 0.0)
    assert 0.45 < np.max(np.abs(speeds) / JOINT_SPEEDS) <= 0.5 + 1e-9
    assert np.allclose(speeds[-1], 0.0)


def test_joints_that_stay_behind_are_a_fault(monkeypatch):
    driver = Obedient()
    monkeypatch.setattr(driver, "follow_joints", lambda joints, speeds: None)
    driver.step = 0.1
    with pytest.raises(UnreachablePose, match=r"0\.200 rad"):
        move_joints(driver, HOME_JOINTS + 0.2, speed=0.5, max_force=25.0, watch=unwatched)
    assert not driver.moving


def test_a_silent_robot_ends_the_way():
    driver = Obedient()
    driver.step = 0.0
    with pytest.raises(ConnectionLost):
        move_joints(driver, HOME_JOINTS + 0.2, speed=0.5, max_force=25.0, watch=unwatched)
    assert not driver.moving


def test_an_interrupted_way_ends_at_rest(monkeypatch):
    driver = Obedient()

    def interrupt():
        assert driver.moving
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        move_joints(driver, HOME_JOINTS + 0.2, speed=0.5, max_force=25.0, watch=unwatched)
    assert not driver.moving


def test_the_newest_answer_needs_no_waiting():
    free, answers = threading.Event(), iter([1, 2])

    def ask():
        answer = next(answers)
        assert answer == 1 or free.wait(10.0)
        return answer

    newest = Newest(ask, pause=0.0)
    start = time.monotonic()
    assert newest.get() == 1
    assert not newest.join(0.05)
    assert time.monotonic() - start < 5.0
    newest.end()
    free.set()
    assert newest.join(10.0)
    assert newest.get() == 2


def test_the_error_of_a_question_stays():
    answers = iter([1])
    newest = Newest(lambda: next(answers), pause=0.0)
    assert newest.join(10.0)
    for _ in range(2):
        with pytest.raises(StopIteration):
            newest.get()


def test_a_connection_that_the_other_end_closes_is_lost():
    host = free_address()
    with socket.create_server((host, FCI_PORT)) as listener, socket.create_connection((host, FCI_PORT)) as ours:
        theirs, _ = listener.accept()
        connection = Connection(host)
        theirs.sendall(b"unread")
        assert not connection.lost
        theirs.close()
        wait_until(lambda: connection.lost)
        connection.close()
        assert ours.recv(6) == b"unread"  # nothing was taken from its owner


def test_a_robot_that_nobody_is_connected_to_is_not_lost():
    assert not Connection(free_address()).lost
