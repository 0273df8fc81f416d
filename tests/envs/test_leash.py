"""What the leash does to a commanded state that has run ahead of the measured one."""

import numpy as np
import pytest

from vjepa_sim.envs.leash import LEASH, TURNING_LEASH, leashed
from vjepa_sim.envs.pose import integrate, rotation_vector

MEASURED = np.array([0.45, 0.1, 0.3, np.pi, 0.1, -0.4, 0.5])


def ahead(size, turn):
    """A state in a fixed direction from the measured one; its turn is about one axis."""
    return integrate(MEASURED, np.array([size * 0.6, 0, size * 0.8, 0, turn, 0, 0.2]))


def test_within_the_leash_nothing_changes():
    commanded = ahead(LEASH - 1e-6, TURNING_LEASH - 1e-6)
    assert np.array_equal(leashed(commanded, MEASURED), commanded)


@pytest.mark.parametrize("times", [1.5, 4.0, 12.0])
def test_beyond_it_the_direction_is_kept_and_the_length_is_the_leashs(times):
    commanded = ahead(times * LEASH, times * TURNING_LEASH)
    held = leashed(commanded, MEASURED)
    np.testing.assert_allclose(held[:3], ahead(LEASH, 0)[:3])
    np.testing.assert_allclose(rotation_vector(MEASURED, held), [0, TURNING_LEASH, 0], atol=1e-9)
    assert held[6] == commanded[6]
    np.testing.assert_allclose(leashed(held, MEASURED), held)


def test_whatever_is_asked_for_again_and_again_it_never_winds_up():
    """Of an arm that does not move at all."""
    rng, commanded = np.random.default_rng(0), MEASURED
    for _ in range(50):
        commanded = leashed(integrate(commanded, rng.uniform(-0.2, 0.3, 7)), MEASURED)
        assert np.linalg.norm(commanded[:3] - MEASURED[:3]) <= LEASH + 1e-9
        assert np.linalg.norm(rotation_vector(MEASURED, commanded)) <= TURNING_LEASH + 1e-9
