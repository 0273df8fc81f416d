"""The simulated rungs: where they begin, what their imperfections do, and nothing else."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from vjepa_sim.agents.deployment.config import DeployConfig
from vjepa_sim.envs import pose
from vjepa_sim.envs.arms import ARMS, PANDA
from vjepa_sim.envs.backends import BACKENDS, BackendSpec, make_robot, usual_limits
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.safety import default_limits
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.imperfections import Imperfections, SlowActuators
from vjepa_sim.envs.simulation.noisy_robot import NoisyRobot
from vjepa_sim.envs.simulation.scenario import start_of
from vjepa_sim.envs.simulation.sim_robot import SimRobot
from vjepa_sim.envs.tasks import TASKS

pytestmark = pytest.mark.slow

PERFECT = Imperfections(**(dict.fromkeys(Imperfections.__annotations__, 0.0) | {"seed": 0}))
SIZE = 64
ACTIONS = np.random.default_rng(0).uniform(-0.05, 0.05, (3, 7))


def drawn(task):
    """An episode's start as it is written down, and its first observation."""
    env = SimEnv(task, "box", size=SIZE)
    try:
        env.reset(seed=3)
        return start_of(env.simulation, task, 3), env.observation
    finally:
        env.close()


@pytest.fixture(scope="module")
def episode():
    return drawn("reach")


def noisy(start, imperfections):
    return NoisyRobot(size=SIZE, start=start, imperfections=imperfections)


def run(robot):
    """Observations from a reset on."""
    try:
        seen = [robot.reset()]
        for action in ACTIONS:
            robot.command(action)
            seen.append(robot.observe())
        return seen
    finally:
        robot.close()


def same(a, b):
    return np.array_equal(a.rgb, b.rgb) and np.array_equal(a.state, b.state) and a.stamp == b.stamp


@pytest.mark.parametrize("task", ["reach", "reach-with-object"])  # in the second, the hand holds the object
def test_every_episode_begins_where_the_goals_did_bit_for_bit(task):
    start, first = drawn(task)
    robot = SimRobot(size=SIZE, start=start)
    try:
        assert same(robot.reset(), first)
        assert not robot.judge().success
        for _ in range(2):
            robot.command(ACTIONS[0])
        assert not same(robot.observe(), first)
        assert same(robot.reset(), first)
    finally:
        robot.close()


def test_nobody_judges_without_a_start():
    robot = SimRobot(size=SIZE)
    robot.reset()
    assert robot.judge() is None
    robot.close()


def test_a_start_that_is_drawn_differently_by_now_is_refused(episode):
    start, _ = episode
    x, y, z = start.position
    with pytest.raises(UserError, match=r"seed 3.*20 mm.*capture-goal"):
        SimRobot(size=SIZE, start=replace(start, position=(x + 0.02, y, z)))
    with pytest.raises(UserError, match="cup"):
        SimRobot(object_name="cup", size=SIZE, start=start)


def test_without_imperfections_it_is_the_simulator_bit_for_bit(episode):
    start, _ = episode
    plain, perfect = run(SimRobot(size=SIZE, start=start)), run(noisy(start, PERFECT))
    assert all(same(a, b) for a, b in zip(plain, perfect, strict=True))


@pytest.mark.parametrize("steps", [1, 2])
def test_latency_shows_the_picture_of_that_moment(episode, steps):
    start, _ = episode
    plain = run(SimRobot(size=SIZE, start=start))
    late = run(noisy(start, replace(PERFECT, camera_latency=0.25 * steps)))
    for row, seen in enumerate(late):
        assert np.array_equal(seen.rgb, plain[max(0, row - steps)].rgb)
        assert np.array_equal(seen.state, plain[row].state)


def test_latency_of_part_of_a_step_shows_the_way_there(episode):
    """On the way up, a picture of half a step ago lies between those of its ends."""
    start, _ = episode
    robot = noisy(start, replace(PERFECT, camera_latency=0.125))
    try:
        robot.reset()
        heights = []
        for _ in range(2):
            moment = robot.simulation.time + 0.125
            robot.command(np.array([0, 0, 0.05, 0, 0, 0, 0]))
            robot.observe()
            then = robot._past_data
            heights.append(float(then.site_xpos[robot.simulation.model.site("flange").id, 2]))
            stamp = robot._past[0][0]
            assert moment - robot.simulation.model.opt.timestep < stamp <= moment + 1e-9
        assert heights[0] < heights[1] < robot.simulation.state()[2]
    finally:
        robot.close()


def test_a_seed_is_a_run(episode):
    start, _ = episode
    one, again, other = (run(noisy(start, Imperfections(seed=seed))) for seed in (1, 1, 2))
    assert all(same(a, b) for a, b in zip(one, again, strict=True))
    assert not any(same(a, b) for a, b in zip(one, other, strict=True))


def test_noise_has_the_size_that_was_asked_for(episode):
    start, first = episode
    robot = noisy(start, replace(PERFECT, picture_noise=4.0, position_noise=0.01, rotation_noise=0.02))
    try:
        robot.reset()
        seen = [robot.observe() for _ in range(40)]
        unclipped = (first.rgb > 20) & (first.rgb < 235)
        pictures = np.stack([each.rgb.astype(float) - first.rgb for each in seen])[:, unclipped]
        states = np.stack([each.state for each in seen]) - first.state
        assert pictures.std() == pytest.approx(4.0, rel=0.05)
        turned = pose.difference(np.broadcast_to(first.state, (len(seen), 7)), np.stack([each.state for each in seen]))
        assert states[:, :3].std() == pytest.approx(0.01, rel=0.25)
        assert turned[:, 3:6].std() == pytest.approx(0.02, rel=0.25)
        assert not states[:, 6].any()
    finally:
        robot.close()


def test_an_arm_that_begins_a_step_late_has_not_moved_after_one(episode):
    start, _ = episode
    robot = noisy(start, replace(PERFECT, arm_delay=0.25))
    try:
        robot.reset()
        place = robot.simulation.state()[:3]
        robot.command(np.array([0, 0, 0.05, 0, 0, 0, 0]))
        assert np.abs(robot.simulation.state()[:3] - place).max() < 1e-3
        robot.command(np.zeros(7))
        assert robot.simulation.state()[2] - place[2] == pytest.approx(0.05, abs=3e-3)
    finally:
        robot.close()


def test_a_lag_is_of_first_order():
    """After its time constant, 1 - 1/e of the way is done; the gripper only begins late."""
    timestep = 0.001
    slow = SlowActuators(replace(PERFECT, arm_lag=0.05, arm_delay=0.02, gripper_delay=0.03), timestep, np.zeros(8))
    done = np.array([slow(np.ones(8)).copy() for _ in range(200)])
    np.testing.assert_allclose(done[19, :7], 0)
    np.testing.assert_allclose(done[20 + 50 - 1, :7], 1 - np.exp(-1))
    np.testing.assert_array_equal(done[:, 7], np.arange(200) >= 30)


@pytest.mark.parametrize(("name", "value"), [("camera_latency", -0.1), ("arm_lag", np.nan), ("arm_delay", 3.0)])
def test_impossible_imperfections_are_refused(name, value):
    with pytest.raises(UserError, match=name):
        Imperfections(**{name: value})


def test_the_budget_is_that_of_the_goals(episode):
    start, first = episode
    goals = [Goal(first.rgb, 4), Goal(first.rgb, 7), Goal(first.rgb, 2)]
    for given in (None, start):
        env = make_robot("reach", "sim", size=SIZE, start=given)
        try:
            env.reset(options={"goals": goals})
            assert env.budget == 13
            env.reset(options={"goal": first.rgb})
            assert env.budget == TASKS["reach"].budget
        finally:
            env.close()


def test_the_robot_is_opened_with_the_limits_that_it_must_know(monkeypatch):
    opened = []

    def open_robot(host: str, gripper: str = "robotiq", max_force: float = 1.0, max_camera_age: float = 1.0):
        opened.append((host, max_force, max_camera_age))
        raise UserError("nobody is there")

    module = SimpleNamespace(open_robot=open_robot)
    monkeypatch.setitem(sys.modules, "a_robot", module)
    spec = BackendSpec("franka", "a_robot:open_robot", simulated=False)
    monkeypatch.setitem(BACKENDS._parts, "franka", spec)
    usual = default_limits("panda", "robotiq")
    for limits in (None, replace(usual, max_force=10.0, max_camera_age=0.3)):
        with pytest.raises(UserError, match="nobody"):
            make_robot("reach", "franka", host="there", limits=limits)
    assert opened == [("there", usual.max_force, usual.max_camera_age), ("there", 10.0, 0.3)]
    with pytest.raises(UserError, match="limits"):
        make_robot("reach", "franka", host="there", max_force=10.0)
    with pytest.raises(UserError, match="SafetyLimits"):
        make_robot("reach", "franka", host="there", limits={"max_force": 10.0})


def test_a_backend_drives_the_arms_that_it_names(monkeypatch):
    """A real arm of one's own takes no setting ``arm``, and its workspace is its own."""
    opened = []

    def open_robot(gripper: str = "robotiq"):
        opened.append(gripper)
        raise UserError("nobody is there")

    monkeypatch.setitem(sys.modules, "a_robot", SimpleNamespace(open_robot=open_robot))
    monkeypatch.setitem(ARMS._parts, "other", replace(PANDA, name="other", workspace_high=(0.6, 0.3, 0.5)))
    spec = BackendSpec("real-other", "a_robot:open_robot", simulated=False, arms=("other",))
    monkeypatch.setitem(BACKENDS._parts, "real-other", spec)
    for arm in (None, "other"):
        with pytest.raises(UserError, match="nobody"):
            make_robot("reach", "real-other", arm)
    assert usual_limits("real-other", spec.usual_arm, "robotiq").workspace_high == (0.6, 0.3, 0.5)
    with pytest.raises(UserError, match="Backend 'real-other' drives 'other'; arm 'panda' was given"):
        make_robot("reach", "real-other", "panda")
    for backend in ("franka", "loopback"):
        with pytest.raises(UserError, match=f"Backend '{backend}' drives 'panda'; arm 'other' was given"):
            make_robot("reach", backend, "other", host="there", camera="0")
        with pytest.raises(UserError, match=f"Backend '{backend}' drives 'panda'; arm 'other' was given"):
            DeployConfig(goals="goals", backend=backend, arm="other")
    assert len(opened) == 2
    env = make_robot("reach", "sim", "other", size=SIZE)
    try:
        assert (env.arm_name, env.arm.limits.workspace_high) == ("other", (0.6, 0.3, 0.5))
    finally:
        env.close()


def test_a_task_that_contradicts_the_start_is_refused_with_both_named(episode):
    start, _ = episode
    with pytest.raises(UserError, match=r"'grasp'.*'reach'"):
        make_robot("grasp", "sim", size=SIZE, start=start)


def test_unknown_settings_of_a_rung_are_named():
    with pytest.raises(UserError, match="Did you mean 'imperfections'"):
        make_robot("reach", "noisy-sim", imperfection=PERFECT)
    with pytest.raises(UserError, match="Did you mean 'noisy-sim'"):
        make_robot("reach", "noisysim")
