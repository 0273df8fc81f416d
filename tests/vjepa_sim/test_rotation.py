"""The tensor form of the pose arithmetic agrees with the array form."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from vjepa_sim.envs import pose
from vjepa_sim.models.rotation import euler_to_matrix, integrate, matrix_to_euler


def test_euler_angles_agree_with_scipy():
    angles = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 3))
    matrices = euler_to_matrix(torch.from_numpy(angles))
    np.testing.assert_allclose(matrices, Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(matrix_to_euler(matrices), angles, atol=1e-9)


def test_integration_agrees_with_the_world():
    rng = np.random.default_rng(1)
    states, actions = rng.uniform(-1, 1, (30, 7)), rng.uniform(-0.2, 0.2, (30, 7))
    ours = integrate(torch.from_numpy(states), torch.from_numpy(actions)).numpy()
    theirs = pose.integrate(states, actions)
    np.testing.assert_allclose(ours[:, [0, 1, 2, 6]], theirs[:, [0, 1, 2, 6]], atol=1e-12)
    np.testing.assert_allclose(
        Rotation.from_euler("xyz", ours[:, 3:6]).as_matrix(),
        Rotation.from_euler("xyz", theirs[:, 3:6]).as_matrix(),
        atol=1e-9,
    )
