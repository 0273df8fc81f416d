from dataclasses import replace

import numpy as np
import pytest

from vjepa_sim.envs import faults, pose
from vjepa_sim.envs.arms import ARMS, PANDA
from vjepa_sim.envs.arms.panda import JOINTS_HIGH, JOINTS_LOW
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import ROBOTIQ
from vjepa_sim.envs.leash import gripper_target
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.safety import SafetyEnvelope, SafetyLimits, default_limits
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.status import ArmStatus
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.envs.tasks.grasping import pointing_down


class PerfectArm:
    """Does exactly as it is told."""

    period = 0.25

    def __init__(self):
        self.state = np.array([0.45, 0.0, 0.3, np.pi, 0, 0, 0.0])

    @property
    def target(self):
        return self.state.copy()

    def reset(self):
        return self.observe()

    def observe(self):
        return Observation(np.zeros((4, 4, 3), np.uint8), self.state.astype(np.float32), 0.0)

    def command(self, action):
        self.state = pose.integrate(self.state, action)
        return np.asarray(action, float)

    def watch(self, check):
        self.check = check

    def status(self):
        return ArmStatus(state=self.state, target=self.target)

    def close(self):
        pass


def test_a_harmless_action_passes_unchanged():
    envelope = SafetyEnvelope(PerfectArm())
    envelope.reset()
    action = np.array([0.01, -0.02, 0.03, 0, 0, 0.1, 0.2])
    assert np.array_equal(envelope.command(action), action)
    assert envelope.clipped == []


def test_too_large_a_step_is_clipped_and_said():
    envelope = SafetyEnvelope(PerfectArm())
    envelope.reset()
    sent = envelope.command(np.array([0.2, 0, 0, 0, 0, -1.0, 1.0]))
    np.testing.assert_allclose(sent, [0.075, 0, 0, 0, 0, -0.2, 0.75])
    assert "step limit" in envelope.clipped[0]


@pytest.mark.parametrize("direction", np.vstack([np.eye(3), -np.eye(3)]).tolist())
def test_the_workspace_is_never_left(direction):
    arm = PerfectArm()
    envelope = SafetyEnvelope(arm)
    envelope.reset()
    for _ in range(20):
        envelope.command(np.concatenate([np.array(direction) * 0.075, np.zeros(4)]))
        assert np.all(arm.state[:3] >= np.array(envelope.limits.workspace_low) - 1e-6)
        assert np.all(arm.state[:3] <= np.array(envelope.limits.workspace_high) + 1e-6)
    assert "workspace" in envelope.clipped[-1]


@pytest.mark.slow
@pytest.mark.parametrize("gripper", ["robotiq", "panda_hand"])
def test_whatever_is_asked_the_simulated_arm_is_sent_within_the_limits(gripper):
    """Hard moves with rotations, into the corners of the box and of the arm's reach."""
    env = SimEnv("reach", "box", gripper=gripper, size=16)
    limits = env.arm.limits
    rng = np.random.default_rng(0)
    short = 0
    for seed in range(3):
        env.reset(seed=seed)
        for step in range(40):
            if step % 8 == 0:
                direction = rng.choice([-1.0, 0.0, 1.0], 7)
            before = env.arm.target
            env.step((direction * limits.step).astype(np.float32))
            after = env.simulation.target
            moved = np.abs(pose.difference(before, after))
            assert np.all(moved[:3] <= limits.step[:3] + 2e-3)
            assert pose.difference(before, after)[3:6] == pytest.approx(0, abs=np.sqrt(3) * limits.max_rotation + 0.02)
            assert np.all(after[:3] >= np.array(limits.workspace_low) - 2e-3)
            assert np.all(after[:3] <= np.array(limits.workspace_high) + 2e-3)
            short += any("reach" in note for note in env.arm.clipped)
    assert short > 0  # the test went to where the arm ends
    env.close()


def test_nothing_is_sent_when_the_action_is_not_a_number():
    arm = PerfectArm()
    envelope = SafetyEnvelope(arm)
    envelope.reset()
    before = arm.state.copy()
    for ask in (envelope.allowed, envelope.command):
        with pytest.raises(faults.NotFinite):
            ask(np.full(7, np.nan))
    assert np.array_equal(arm.state, before)


def test_the_workspace_is_the_arms_above_the_grippers_lowest_flange(monkeypatch):
    small = replace(PANDA, name="small", workspace_low=(0.3, -0.25), workspace_high=(0.6, 0.25, 0.5))
    monkeypatch.setitem(ARMS._parts, "small", small)
    limits = default_limits("small", "robotiq")
    assert limits.workspace_low == (0.3, -0.25, ROBOTIQ.lowest_flange)
    assert limits.workspace_high == (0.6, 0.25, 0.5)
    assert replace(default_limits("panda", "robotiq"), workspace_high=(0.6, 0.25, 0.5)) != limits
    env = SimEnv("reach", "box", arm="small", size=16)
    assert env.arm.limits == limits
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_an_arm_whose_workspace_lacks_starts_or_goals_is_refused(task):
    TASKS[task].check_arm(PANDA)
    for changes in (
        {"workspace_low": (0.41, -0.35)},
        {"workspace_high": (0.7, 0.1, 0.6)},
        {"workspace_high": (0.7, 0.35, 0.3)},
    ):
        with pytest.raises(UserError, match=f"Arm 'small' can't do the task '{task}'"):
            TASKS[task].check_arm(replace(PANDA, name="small", **changes))


def test_an_arm_that_does_not_reach_is_refused_by_the_environment(monkeypatch):
    monkeypatch.setitem(ARMS._parts, "short", replace(PANDA, name="short", workspace_high=(0.56, 0.35, 0.6)))
    SimEnv("grasp", "box", arm="short", size=16).close()
    with pytest.raises(UserError, match="Arm 'short' can't do the task 'reach'"):  # its goals lie further away
        SimEnv("reach", "box", arm="short", size=16)


def test_senseless_limits_are_refused():
    with pytest.raises(UserError, match="positive"):
        SafetyLimits(max_translation=0)
    with pytest.raises(UserError, match="positive"):
        SafetyLimits(max_translation=float("nan"))
    with pytest.raises(UserError, match="below its high corner"):
        SafetyLimits(workspace_low=(float("nan"),) * 3)
    with pytest.raises(UserError, match="below its high corner"):
        SafetyLimits(workspace_low=(1, 1, 1), workspace_high=(0, 0, 0))


def test_the_grip_holds_what_it_holds():
    """A hand closed on an object is told 1.0 and measures 0.5."""
    assert gripper_target(1.0, 0.5, 0.0) == 1.0
    assert gripper_target(1.0, 0.5, 0.05) == 1.0
    assert gripper_target(1.0, 0.5, -0.5) == 0.0
    assert gripper_target(0.0, 0.0, 0.75) == 0.75


def test_a_stalled_hand_is_not_pressed_through_the_floor():
    """The box bounds what the real servo is told, also while something holds the hand up."""
    env = SimEnv("grasp", "cup", size=64)
    env.reset(seed=0)
    above = env.simulation.object_position()
    env.simulation.place_flange(pointing_down(above + [0, 0, 0.26], 0.0, 1.0, ROBOTIQ))
    for _ in range(12):  # closed fingers meet the cup from above
        env.step(np.array([0, 0, -0.075, 0, 0, 0, 0], np.float32))
        assert env.simulation.target[2] >= env.arm.limits.workspace_low[2] - 1e-3
    env.close()


WELL = ArmStatus(
    state=np.array([0.45, 0.0, 0.3, np.pi, 0, 0, 0.0]),
    target=np.array([0.45, 0.0, 0.3, np.pi, 0, 0, 0.0]),
    arrived=True,
    joints=np.array([0.0, -0.6, 0.0, -2.5, 0.0, 1.9, 0.8]),
    joints_low=JOINTS_LOW,
    joints_high=JOINTS_HIGH,
    force=3.0,
    clock_age=0.05,
    camera_age=0.1,
    silence=1.0,
)


@pytest.mark.parametrize(
    ("changes", "fault", "limit"),
    [
        ({"state": np.full(7, np.nan)}, faults.NotFinite, ""),
        ({"state": np.array([0.45, 0.0, 0.10, 0, 0, 0, 0])}, faults.OutOfWorkspace, "workspace_margin"),
        ({"state": np.array([0.75, 0.0, 0.30, 0, 0, 0, 0])}, faults.OutOfWorkspace, "workspace_margin"),
        ({"target": np.array([0.45, 0.05, 0.3, np.pi, 0, 0, 0.0])}, faults.UnreachablePose, "max_unreached"),
        ({"target": np.array([0.45, 0.0, 0.3, np.pi, 0, 0.25, 0.0])}, faults.UnreachablePose, "max_unturned"),
        ({"joints": np.array([0.0, -0.6, 0.0, -0.08, 0.0, 1.9, 0.8])}, faults.JointNearLimit, "joint_margin"),
        (
            {"joints": np.array([2.8, -0.6, 0.0, -2.5, 0.0, 1.9, 0.8])},
            faults.JointNearLimit,
            "joint_margin",
        ),  # an FR3's
        ({"force": 30.0}, faults.ForceExceeded, "max_force"),
        ({"clock_age": 0.3}, faults.StaleRobotClock, "max_clock_age"),
        ({"camera_age": 1.0}, faults.StaleCamera, "max_camera_age"),
        ({"silence": 60.0}, faults.AgentSilent, "max_silence"),
    ],
)
def test_each_broken_limit_has_a_name(changes, fault, limit):
    envelope = SafetyEnvelope(PerfectArm())
    envelope.arm.check(WELL)
    with pytest.raises(fault) as caught:
        envelope.arm.check(replace(WELL, **changes))
    assert caught.value.limit == limit
    assert fault.remedy in str(caught.value)


def test_an_arm_on_its_way_need_not_be_there_yet():
    away = replace(WELL, target=np.array([0.45, 0.2, 0.3, np.pi, 0, 0, 0.0]), arrived=False)
    SafetyLimits().check(away)


def test_the_simulated_arm_is_watched_too():
    env = SimEnv("reach", size=32, limits=SafetyLimits(joint_margin=1.2))
    env.reset(seed=0)
    with pytest.raises(faults.JointNearLimit):
        for _ in range(5):
            env.step(np.array([0.075, 0.075, -0.075, 0, 0, 0, 0]))
    env.close()


@pytest.mark.parametrize("action", [[0.01, 0, 0, 0, 0, 0, 0], [0.3, 0, 0, 0, 0, 0.5, 1.0], [0, 0, -0.075, 0, 0, 0, 0]])
def test_what_is_allowed_is_what_a_command_sends(action):
    arm = PerfectArm()
    arm.state[2] = 0.2  # close above the floor
    envelope = SafetyEnvelope(arm)
    before = arm.state.copy()
    allowed, words = envelope.allowed(np.array(action))
    assert np.array_equal(arm.state, before) and envelope.clipped == []
    assert bool(words) is not np.allclose(allowed, action)
    assert np.array_equal(envelope.command(np.array(action)), allowed)
    assert envelope.clipped == words
