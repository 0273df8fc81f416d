import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.pose import difference, integrate

finite = st.floats(-1, 1, allow_nan=False)
angle = st.floats(-np.pi, np.pi, allow_nan=False)


@st.composite
def states(draw):
    state = np.array([draw(finite), draw(finite), draw(finite), draw(angle), draw(angle) / 2.1, draw(angle), 0.0])
    state[6] = draw(st.floats(0, 1))
    return state


def same_pose(a, b):
    np.testing.assert_allclose(a[..., :3], b[..., :3], atol=1e-9)
    np.testing.assert_allclose(
        Rotation.from_euler("xyz", a[..., 3:6]).as_matrix(),
        Rotation.from_euler("xyz", b[..., 3:6]).as_matrix(),
        atol=1e-7,
    )
    np.testing.assert_allclose(a[..., 6], b[..., 6], atol=1e-9)


@given(states(), states())
def test_integrate_undoes_difference(before, after):
    same_pose(integrate(before, difference(before, after)), after)


@given(states())
def test_no_difference_is_no_action(state):
    np.testing.assert_allclose(difference(state, state), 0, atol=1e-7)


@given(arrays(np.float64, 7, elements=finite))
def test_closedness_stays_in_range(action):
    assert 0 <= integrate(np.array([0, 0, 0, 0, 0, 0, 0.5]), action)[6] <= 1


def test_rotations_multiply_from_the_left():
    """A turn about the base frame's z turns the hand's own axes, whatever they are."""
    state = np.array([0.4, 0, 0.3, np.pi, 0, 0.3, 0])
    turned = integrate(state, np.array([0, 0, 0, 0, 0, 0.2, 0]))
    expected = Rotation.from_euler("z", 0.2) * Rotation.from_euler("xyz", state[3:6])
    np.testing.assert_allclose(Rotation.from_euler("xyz", turned[3:6]).as_matrix(), expected.as_matrix(), atol=1e-12)


def test_batches_equal_single_calls():
    rng = np.random.default_rng(0)
    state, action = rng.uniform(-0.5, 0.5, (4, 5, 7)), rng.uniform(-0.1, 0.1, (4, 5, 7))
    batched = integrate(state, action)
    for i in np.ndindex(4, 5):
        np.testing.assert_allclose(batched[i], integrate(state[i], action[i]), atol=1e-12)


def test_a_real_pair_of_states():
    """Two states of a real Franka, from the example trajectory that comes with V-JEPA 2 (MIT)."""
    before = np.array([0.58043909, -0.0020212342, 0.24755727, -3.0666156, 0.030529797, -1.9127512, 0.99697137])
    after = np.array([0.67280847, 0.028965971, 0.33183685, -3.0514374, 0.017709509, -1.912495, 0.99697137])
    action = difference(before, after)
    np.testing.assert_allclose(action[:3], [0.0923694, 0.0309872, 0.0842796], atol=1e-6)
    # The hand hardly turned: its rotation vector is as short as the change of its Euler angles.
    assert np.linalg.norm(action[3:6]) == pytest.approx(np.linalg.norm((after - before)[3:6]), rel=0.05)
    assert action[6] == 0.0
    same_pose(integrate(before, action), after)


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7)])
def test_shapes_are_kept(shape):
    assert integrate(np.zeros(shape), np.zeros(shape)).shape == shape
    assert difference(np.zeros(shape), np.zeros(shape)).shape == shape
