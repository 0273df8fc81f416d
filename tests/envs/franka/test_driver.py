"""The drivers and the servo against Franka's real protocol, on a loopback address."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.envs.loopback import wait_for_rest
from vjepa_sim.envs.arms.panda import flange_poses
from vjepa_sim.envs.pose import euler_to_matrix

pytest.importorskip("franka_sim", exc_type=ImportError)

from tests.envs.franka.motion import MAX_FORCE, POSITION, close_to, moved, settle, start_moving, turned

pytestmark = pytest.mark.slow


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
