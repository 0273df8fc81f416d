"""Where cameras stand, and how they are moved."""

import numpy as np
import pytest

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.scene.cameras import LEFT, left_at
from vjepa_sim.envs.sim_env import SimEnv

pytestmark = pytest.mark.slow

NOMINAL = LEFT.viewpoint


def test_the_nominal_azimuth_gives_the_nominal_camera_back():
    same = left_at(NOMINAL.azimuth)
    np.testing.assert_allclose(same.position, NOMINAL.position, atol=1e-12)
    assert (same.target, same.fovy, same.up) == (NOMINAL.target, NOMINAL.fovy, NOMINAL.up)
    assert 54.6 < NOMINAL.azimuth < 54.7


@pytest.mark.parametrize("azimuth", [-120.0, 0.0, 35.0, 90.0, 180.0])
def test_cameras_on_the_circle_keep_height_and_distance(azimuth):
    view = left_at(azimuth)
    assert abs(view.azimuth) == pytest.approx(abs(azimuth))
    assert view.position[2] == pytest.approx(NOMINAL.position[2])
    distances = [np.linalg.norm(np.subtract(each.position, each.target)) for each in (view, NOMINAL)]
    assert distances[0] == pytest.approx(distances[1])


def test_azimuths_are_counted_from_the_front_to_the_left():
    assert left_at(0).position[0] > NOMINAL.target[0]
    assert left_at(0).position[1] == pytest.approx(0)
    assert left_at(90).position[0] == pytest.approx(NOMINAL.target[0])
    assert left_at(90).position[1] > 0
    with pytest.raises(UserError, match="from -180 to 180"):
        left_at(200)


def test_a_knocked_camera_moves_and_turns_by_what_was_asked():
    assert np.allclose(NOMINAL.moved().target, NOMINAL.target)
    carried = NOMINAL.moved(offset=(0.05, 0, 0))
    np.testing.assert_allclose(np.subtract(carried.position, NOMINAL.position), [0.05, 0, 0], atol=1e-12)
    np.testing.assert_allclose(carried.quaternion(), NOMINAL.quaternion(), atol=1e-12)
    forward = np.subtract(NOMINAL.target, NOMINAL.position)
    for knocked in (NOMINAL.moved(pan=5), NOMINAL.moved(tilt=5)):
        now = np.subtract(knocked.target, knocked.position)
        if knocked.target[2] == pytest.approx(NOMINAL.target[2]):  # panned: the turn is seen from above
            now, then = now[:2], forward[:2]
            assert np.cross([*then, 0], [*now, 0])[2] > 0
        else:
            then = forward
            assert knocked.target[2] > NOMINAL.target[2]
        angle = np.degrees(np.arccos(now @ then / np.linalg.norm(now) / np.linalg.norm(then)))
        assert angle == pytest.approx(5)


@pytest.mark.parametrize("randomize", [0.0, 1.0])
def test_another_viewpoint_changes_the_picture_and_nothing_else(randomize):
    seen = []
    for viewpoint in (None, NOMINAL, left_at(85)):
        env = SimEnv("reach", "box", size=64, randomize=randomize, viewpoint=viewpoint)
        env.reset(seed=3)
        env.step(np.array([0.03, 0.02, 0, 0, 0, 0, 0]))
        seen.append((env.observation.rgb, env.data.qpos.copy(), env.variation))
        env.close()
    (nominal, joints, look), (same, _, _), (other, others_joints, others_look) = seen
    assert np.array_equal(nominal, same)
    assert not np.array_equal(nominal, other)
    assert np.array_equal(joints, others_joints)
    assert look.light_direction == others_look.light_direction
    knocks = [
        np.subtract(each.cameras["left"].position, at.position)
        for each, at in ((look, NOMINAL), (others_look, left_at(85)))
    ]
    np.testing.assert_allclose(*knocks, atol=1e-12)


def test_a_viewpoint_of_another_kind_is_refused():
    with pytest.raises(UserError, match="Viewpoint"):
        SimEnv("reach", "box", size=64, viewpoint=35.0)
