"""Where the arm is to go, and whether it got there."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from tests.envs.loopback import REST, wait_until

AT_ONCE = 0.3  # s in which a fault must be known
POSITION, TURN = 0.005, 0.02  # m and rad that the settled arm may be off
MAX_FORCE = 25.0


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


def start_moving(robot, servo):
    servo.go(moved(servo._goal, axis=2, by=0.1))
    wait_until(lambda: robot.moving() > 3 * REST)


def works_again(robot, connect):
    servo, _ = connect(robot)
    goal = moved(servo._goal, axis=2, by=-0.01)
    servo.go(goal)
    assert servo.wait(lambda: servo.arrived, timeout=20.0)
