import numpy as np
import pytest

from vjepa_sim.envs import pose
from vjepa_sim.envs.simulation.simulation import Simulation
from vjepa_sim.envs.tasks.grasping import grasp_at_once, is_held


@pytest.fixture(scope="module", params=["robotiq", "panda_hand"])
def simulation(request):
    return Simulation(request.param, "box")


def test_the_reset_posture_is_droids(simulation):
    simulation.reset()
    state = simulation.state()
    np.testing.assert_allclose(state[:3], [0.360, 0.0, 0.490], atol=1e-3)
    assert abs(abs(state[3]) - np.pi) < 1e-3
    assert state[pose.GRIPPER] == pytest.approx(0, abs=1e-3)


def test_a_full_step_ends_within_three_millimetres(simulation):
    simulation.reset()
    rng = np.random.default_rng(0)
    for _ in range(10):
        target = simulation.target.copy()
        target[:3] = np.clip(target[:3] + rng.uniform(-0.075, 0.075, 3), [0.36, -0.2, 0.25], [0.6, 0.2, 0.5])
        simulation.advance(target)
        assert np.linalg.norm(simulation.state()[:3] - target[:3]) < 0.003


def test_inverse_kinematics_inverts_forward(simulation):
    rng = np.random.default_rng(1)
    for _ in range(10):
        joints = simulation.home_joints + rng.uniform(-0.3, 0.3, 7)
        position, matrix = simulation.kinematics.forward(joints)
        found = simulation.kinematics.inverse(position, matrix, simulation.home_joints)
        again, turned = simulation.kinematics.forward(found)
        np.testing.assert_allclose(again, position, atol=1e-4)
        np.testing.assert_allclose(turned, matrix, atol=1e-3)


def test_an_unreachable_pose_becomes_the_nearest(simulation):
    simulation.reset()
    target = simulation.target.copy()
    target[0] = 3.0
    simulation.advance(target)
    assert simulation.target[0] < 1.2
    assert np.all(np.isfinite(simulation.state()))


def test_the_gripper_opens_and_closes(simulation):
    simulation.reset()
    for wanted in (1.0, 0.0, 0.5):
        target = simulation.target.copy()
        target[pose.GRIPPER] = wanted
        for _ in range(3):
            simulation.advance(target)
        assert simulation.closedness() == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("object_name", ["cup", "box"])
@pytest.mark.parametrize("gripper", ["robotiq", "panda_hand"])
def test_a_grasped_object_stays_in_the_hand(gripper, object_name):
    simulation = Simulation(gripper, object_name)
    assert grasp_at_once(simulation)
    rng = np.random.default_rng(0)
    for _ in range(8):
        target = simulation.target.copy()
        target[:3] = np.clip(target[:3] + rng.uniform(-0.06, 0.06, 3), [0.36, -0.2, 0.28], [0.6, 0.2, 0.45])
        simulation.advance(target)
    assert is_held(simulation)


def test_an_object_at_rest_stays_at_rest():
    for object_name in ("cup", "box"):
        simulation = Simulation("robotiq", object_name)
        before = simulation.object_position()
        for _ in range(4):
            simulation.advance(simulation.target)
        np.testing.assert_allclose(simulation.object_position(), before, atol=1e-3)
        assert simulation.object_speed() < 1e-2


@pytest.mark.parametrize("period", [0.05, 1 / 15, 0.25, 1.06])
def test_a_period_lasts_as_long_as_it_says(period):
    simulation = Simulation(period=period)
    simulation.advance(simulation.target)
    assert simulation.time == pytest.approx(period, rel=1e-9)
    assert simulation.model.opt.timestep <= 0.005
