"""From posture to posture."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.envs.loopback import REST, wait_for_rest, wait_until
from vjepa_sim.envs.arms.panda import HOME_JOINTS
from vjepa_sim.envs.faults import ArmFault, ConnectionLost, ForceExceeded, NotFinite, Reflex, UserStopped

pytest.importorskip("franka_sim", exc_type=ImportError)

from tests.envs.franka.motion import MAX_FORCE, unwatched, works_again
from vjepa_sim.envs.franka.joint_motion import move_joints

pytestmark = pytest.mark.slow


def test_moves_joints(robot, driver):
    for joints in (HOME_JOINTS + [0.2, -0.2, 0.2, 0.2, -0.2, 0.2, 0.2], HOME_JOINTS):
        move_joints(driver, joints, speed=0.15, max_force=MAX_FORCE, watch=unwatched)
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
            move_joints(
                driver, robot.joints() + [0.5, 0, 0, 0, 0, 0, 0], speed=0.15, max_force=MAX_FORCE, watch=unwatched
            )
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
