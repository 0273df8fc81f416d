"""The arm behind its contract, on a driver that obeys, with the real gripper's client and its serial device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pyrobotiqgripper")

from tests.envs.franka.grey import GreySource
from tests.envs.franka.obedient import Obedient
from tests.envs.loopback import wait_until
from vjepa_sim.envs.arms.panda import JOINTS_LOW, PANDA
from vjepa_sim.envs.cameras import Grabber
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import (
    AgentSilent,
    BlindCamera,
    ForceExceeded,
    GripperFault,
    JointNearLimit,
    NotFinite,
    OutOfWorkspace,
    StaleCamera,
    StaleRobotClock,
    UnreachablePose,
)
from vjepa_sim.envs.franka import arm as franka_arm
from vjepa_sim.envs.franka.arm import FrankaArm
from vjepa_sim.envs.grippers import GRIPPERS, open_gripper
from vjepa_sim.envs.leash import LEASH
from vjepa_sim.envs.loopback.robotiq import LoopbackRobotiq
from vjepa_sim.envs.safety import SafetyEnvelope, default_limits

pytestmark = pytest.mark.slow


@pytest.fixture
def driver():
    return Obedient()


@pytest.fixture
def source():
    return GreySource()


@pytest.fixture
def arm(robotiq, driver, source):
    gripper = open_gripper("robotiq", str(robotiq.link))
    arm = FrankaArm(driver, gripper, Grabber(source, max_age=10.0), period=0.25)
    yield arm
    arm.close()


def test_a_command_is_carried_out(arm, driver):
    before = arm.reset().state
    sent = arm.command(np.array([0.02, 0, 0, 0, 0, 0, 0]))
    assert np.allclose(sent, [0.02, 0, 0, 0, 0, 0, 0])
    assert np.allclose(arm.observe().state[:3] - before[:3], [0.02, 0, 0], atol=1e-6)
    arm.close()
    assert not driver.moving


@pytest.mark.parametrize("break_it", [lambda robotiq: setattr(robotiq, "silent", True), LoopbackRobotiq.unplug])
def test_a_gripper_that_falls_silent_stops_the_arm(arm, driver, robotiq, break_it):
    arm.reset()
    assert driver.moving
    break_it(robotiq)
    wait_until(lambda: not driver.moving)
    for call in (arm.observe, arm.status, lambda: arm.command(np.zeros(7))):
        with pytest.raises(GripperFault):
            call()


def test_silence_is_measured_from_the_last_answer(arm, robotiq, monkeypatch):
    """Well before the client gives up by itself, which takes it 4 s."""
    monkeypatch.setattr(franka_arm, "GRIPPER_SILENCE", 0.5)
    arm.reset()
    robotiq.silent = True
    with pytest.raises(GripperFault, match="not answered") as raised:
        wait_until(lambda: arm.status() is None)
    assert raised.value.limit == "gripper_silence"
    assert 0.5 < raised.value.measured < 3.5


@pytest.mark.parametrize("kind", ["robotiq", "panda_hand"])
def test_home_is_where_the_fingers_open_sideways(robotiq, kind):
    driver = Obedient(PANDA.home_joints(GRIPPERS[kind].mount_yaw) + 0.1)
    gripper = open_gripper("robotiq", str(robotiq.link))
    arm = FrankaArm(driver, gripper, Grabber(GreySource(), max_age=10.0), gripper_kind=kind)
    arm.go_home()
    assert np.allclose(driver.state.joints, PANDA.home_joints(GRIPPERS[kind].mount_yaw))
    wait_until(lambda: gripper.closedness < 0.05)
    arm.close()


# --- the whole arm: what stops it, and that it stays stopped ----------------------------------------------------------
LIMITS = replace(default_limits("panda", "robotiq"), max_camera_age=1.0)


def outside(driver):
    pose = driver.state.pose.copy()
    pose[2, 3] = LIMITS.workspace_high[2] + 0.05
    return pose


def not_finite(driver):
    pose = driver.state.pose.copy()
    pose[0, 3] = np.nan
    return pose


def bent(driver):
    joints = driver.state.joints.copy()
    joints[5] = JOINTS_LOW[5] + 0.01
    return joints


def command_a_stuck_arm(action):
    def order(envelope, driver, source):
        driver.stuck = True
        envelope.command(np.array(action))

    return order


@pytest.mark.parametrize(
    ("fault", "break_it", "limits"),
    [
        (StaleCamera, lambda envelope, driver, source: setattr(source, "broken", True), {}),
        (StaleRobotClock, lambda envelope, driver, source: setattr(driver, "step", 0.0), {}),
        (AgentSilent, lambda envelope, driver, source: None, {"max_silence": 0.3}),
        (OutOfWorkspace, lambda envelope, driver, source: driver.reported.update(pose=outside(driver)), {}),
        (NotFinite, lambda envelope, driver, source: driver.reported.update(pose=not_finite(driver)), {}),
        (JointNearLimit, lambda envelope, driver, source: driver.reported.update(joints=bent(driver)), {}),
        (ForceExceeded, lambda envelope, driver, source: driver.reported.update(force=np.array([0, 0, 26.0])), {}),
        (UnreachablePose, command_a_stuck_arm([0, 0, 0.075, 0, 0, 0, 0]), {}),
        (UnreachablePose, command_a_stuck_arm([0, 0, 0, 0.2, 0.2, 0, 0]), {}),
    ],
)
def test_what_stops_the_arm_stays(arm, driver, source, fault, break_it, limits):
    envelope = SafetyEnvelope(arm, replace(LIMITS, **limits))
    envelope.reset()
    assert driver.moving
    with pytest.raises(fault) as first:
        break_it(envelope, driver, source)
        wait_until(lambda: envelope.status() is None)
    wait_until(lambda: not driver.moving)
    driver.reported, driver.stuck, driver.step, source.broken = {}, False, 0.01, False  # all is well again
    wait_until(lambda: arm._camera.age < 0.5)
    for call in (envelope.reset, envelope.observe, lambda: envelope.command(np.zeros(7)), arm.go_home):
        with pytest.raises(fault) as again:
            call()
        assert again.value is first.value
    arm.release()
    with pytest.raises(fault):
        envelope.reset()
    assert not driver.moving


def test_an_arm_that_gets_there_is_not_unreachable(arm, driver):
    envelope = SafetyEnvelope(arm, LIMITS)
    envelope.reset()
    envelope.command(np.array([0.05, 0, -0.05, 0.2, 0, 0.2, 0]))
    assert envelope.status().arrived
    driver.reported["pose"] = driver.state.pose.copy()
    driver.reported["pose"][2, 3] += 0.03  # leans on something soft
    envelope.observe()
    assert envelope.status().arrived


def test_a_robot_whose_clock_falls_behind_has_not_had_its_time(arm, driver, monkeypatch):
    """However long we have waited: only the robot's clock counts."""
    monkeypatch.setattr(franka_arm, "SETTLE_TIME", 0.3)
    arm.set_speed(1.0)
    driver.step = 0.0005
    SafetyEnvelope(arm, LIMITS).reset()
    driver.stuck = True
    arm.command(np.array([0.075, 0, 0, 0, 0, 0, 0]))
    assert not arm.status().arrived


# --- between episodes -------------------------------------------------------------------------------------------------


def test_an_arm_that_nobody_has_taken_hold_of_takes_no_command(arm, driver, robotiq):
    for _ in range(2):
        with pytest.raises(UserError, match=r"reset\(\)"):
            arm.command(np.array([0.02, 0, 0, 0, 0, 0, 0.5]))
        assert robotiq.targets == []
        assert np.allclose(arm.target[:3], driver.state.pose[:3, 3])
        arm.reset()
        arm.release()
        robotiq.targets.clear()


def test_a_released_arm_is_neither_held_nor_watched(arm, driver, source):
    envelope = SafetyEnvelope(arm, replace(LIMITS, max_silence=0.2))
    envelope.reset()
    arm.release()
    assert not driver.moving
    driver.reported = {"force": np.array([0, 0, 50.0]), "pose": outside(driver)}  # guided by hand
    clock = driver.state.clock
    for _ in range(10):
        arm.glimpse()
    assert driver.state.clock == pytest.approx(clock + 10 * driver.step)  # nobody else has looked
    driver.reported = {}
    envelope.reset()
    assert driver.moving
    arm.release()


def test_a_reset_holds_the_arm_where_it_is_however_far_it_was_sent(arm, driver):
    arm.reset()
    arm._servo.settings = replace(arm._servo.settings, speed=0.001)
    start = driver.state.pose[:3, 3].copy()
    arm._servo.go(np.block([[driver.state.pose[:3, :3], (start + 0.05)[:, None]], [np.zeros(3), 1.0]]))
    arm.reset()
    assert driver.moving and arm._servo.arrived
    here = driver.state.pose[:3, 3]
    assert np.linalg.norm(here - start) < 0.01
    assert np.allclose(arm.target[:3], here, atol=1e-4)


def test_a_slow_arm_is_given_its_time(arm, driver):
    driver.step = 0.04  # twice as fast as the wall's clock, so that the test is not as slow
    arm.reset()
    start = driver.state.pose[0, 3]
    arm.set_speed(0.05)
    arm.command(np.array([0.075, 0, 0, 0, 0, 0, 0]))
    assert driver.state.pose[0, 3] - start == pytest.approx(0.075, abs=1e-4)


def test_a_command_starts_from_one_place_whoever_asks(arm, driver):
    """Also with the leash taut and an arm that gives way meanwhile."""
    arm.reset()
    driver.stuck = True
    start = driver.state.pose[:3, 3].copy()
    arm.command(np.array([0.075, 0, 0, 0, 0, 0, 0]))
    taut = arm.target
    assert np.allclose(taut[:3] - start, [LEASH, 0, 0], atol=1e-6)
    driver.reported["pose"] = driver.state.pose.copy()
    driver.reported["pose"][1, 3] += 0.02
    arm._servo.wait(lambda: arm.status().state[1] > start[1] + 0.01, timeout=10.0)
    assert np.array_equal(arm.target, taut)


# --- home -------------------------------------------------------------------------------------------------------------
HIGH = PANDA.home_joints(GRIPPERS["robotiq"].mount_yaw) + [0, -0.7, 0, 0.8, 0, 0.6, 0]  # above the box


def test_the_way_home_may_begin_outside_of_the_box(robotiq, source):
    driver = Obedient(HIGH)
    driver.step = 0.02
    arm = FrankaArm(driver, open_gripper("robotiq", str(robotiq.link)), Grabber(source, max_age=10.0))
    SafetyEnvelope(arm, LIMITS)  # watches the arm
    try:
        with pytest.raises(OutOfWorkspace):
            LIMITS.check(replace(arm.status(), camera_age=0.0))
        arm.go_home()
        assert np.allclose(driver.state.joints, PANDA.home_joints(GRIPPERS["robotiq"].mount_yaw))
    finally:
        arm.close()


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        (ForceExceeded, lambda driver: {"force": np.array([0, 26.0, 0])}),
        (OutOfWorkspace, lambda driver: {"pose": outside(driver)}),
        (JointNearLimit, lambda driver: {"joints": bent(driver)}),
    ],
)
def test_the_limits_hold_on_the_way_home(arm, driver, fault, reported):
    SafetyEnvelope(arm, LIMITS)
    driver.state = replace(driver.state, joints=PANDA.home_joints(GRIPPERS["robotiq"].mount_yaw) + 0.1)
    follow = driver.follow_joints

    def follow_for_a_while(joints, speeds):
        follow(joints, speeds)
        if len(driver.speeds) == 20:
            driver.reported = reported(driver)

    driver.follow_joints = follow_for_a_while
    with pytest.raises(fault):
        arm.go_home()
    assert not driver.moving and len(driver.speeds) < 30
    driver.reported = {}
    with pytest.raises(fault):
        arm.reset()


def test_what_is_held_is_held_until_the_arm_is_home(robotiq, source):
    driver = Obedient(PANDA.home_joints(GRIPPERS["robotiq"].mount_yaw) + 0.05)
    gripper = open_gripper("robotiq", str(robotiq.link))
    arm = FrankaArm(driver, gripper, Grabber(source, max_age=10.0))
    gripper.activate()
    gripper.command(1.0)
    wait_until(lambda: gripper.closedness == 1.0)
    follow, closed = driver.follow_joints, []
    driver.follow_joints = lambda *reference: follow(*reference) or closed.append(gripper.closedness)
    try:
        arm.go_home()
        assert len(closed) > 10 and set(closed) == {1.0}
        assert gripper.closedness < 0.05  # and it has waited for that
    finally:
        arm.close()


# --- beginning and end ------------------------------------------------------------------------------------------------


def test_the_gripper_is_not_moved_before_the_arm_is_taken_hold_of(arm, robotiq):
    assert "opens and closes" in arm.gripper_status
    arm.glimpse()
    assert robotiq.activations == 0 and robotiq.targets == []
    arm.reset()
    assert robotiq.activations == 1
    assert arm.gripper_status == "ready"
    arm.reset()
    assert robotiq.activations == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_goes_wrong_while_closing_all_is_closed(arm, driver, source, monkeypatch, error):
    arm.reset()

    def interrupt():
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(arm._servo, "stop", interrupt)
        if error is KeyboardInterrupt:  # a second Ctrl-C is for whoever pressed it
            with pytest.raises(KeyboardInterrupt):
                arm.close()
        else:
            arm.close()
    assert driver.closed and source.closed
    assert arm._gripper._closed


def freeze(source):
    source.frozen = True


def cover(source):
    source.black = True


def change_size(source):
    source.size = 24


@pytest.mark.parametrize(("fault", "what"), [(freeze, "not changed"), (cover, "black"), (change_size, "24 × 24")])
def test_a_blind_camera_stops_the_arm(arm, driver, source, fault, what):
    arm.reset()
    fault(source)
    forth = np.array([0.075, 0, 0, 0, 0, 0, 0])
    with pytest.raises(BlindCamera, match=what):
        for _ in range(4):
            arm.command(forth)
            arm.observe()
    assert not driver.moving
    with pytest.raises(BlindCamera):
        arm.reset()
