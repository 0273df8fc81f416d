"""States and actions, and the conversion between them.

State, 7:  ``[x, y, z, roll, pitch, yaw, closedness]``: the flange (panda_link8) in the robot's base frame,
metres (x forward, y left, z up), extrinsic "xyz" Euler angles in radians, gripper 0 open to 1 closed.
This is DROID's ``cartesian_position`` followed by ``gripper_position``.

Action, 7: ``[Δx, Δy, Δz, euler(R₂ R₁ᵀ), Δclosedness]``, base frame, between two states one control period apart.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

STATE_DIM = 7
ACTION_DIM = 7
POSITION = slice(0, 3)
ROTATION = slice(3, 6)
GRIPPER = 6
# Bounds of all states: metres (beyond the arm's reach), radians, closedness.
STATE_BOUND = np.array([2.0, 2.0, 2.0, 3.2, 3.2, 3.2, 1.0], np.float32)


def integrate(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The state after an action: position added, ``R ← ΔR R``, closedness clipped to [0, 1].

    Args:
        state: states [..., 7].
        action: actions [..., 7].

    Returns:
        States [..., 7], float64.
    """
    state, action = np.broadcast_arrays(np.asarray(state, np.float64), np.asarray(action, np.float64))
    result = state + action
    turned = Rotation.from_euler("xyz", action[..., ROTATION].reshape(-1, 3)) * Rotation.from_euler(
        "xyz", state[..., ROTATION].reshape(-1, 3)
    )
    result[..., ROTATION] = turned.as_euler("xyz").reshape(state[..., ROTATION].shape)
    result[..., GRIPPER] = np.clip(result[..., GRIPPER], 0.0, 1.0)
    return result


def difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The action between two states: the inverse of :func:`integrate`.

    Args:
        before: states [..., 7].
        after: states [..., 7] one step later.

    Returns:
        Actions [..., 7], float64.
    """
    before, after = np.broadcast_arrays(np.asarray(before, np.float64), np.asarray(after, np.float64))
    action = after - before
    turn = (
        Rotation.from_euler("xyz", after[..., ROTATION].reshape(-1, 3))
        * Rotation.from_euler("xyz", before[..., ROTATION].reshape(-1, 3)).inv()
    )
    action[..., ROTATION] = turn.as_euler("xyz").reshape(before[..., ROTATION].shape)
    return action


def rotation_vector(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Rotation of the flange between two states [7]: a rotation vector [3] in the base frame, radians."""
    start, end = (Rotation.from_euler("xyz", state[ROTATION]) for state in (before, after))
    return (end * start.inv()).as_rotvec()


def interpolate(states: np.ndarray, stamps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """States at given times between the first and the last stamp: linear in position and closedness, spherical linear
    in rotation.

    Args:
        states: states [T, 7].
        stamps: their times [T], seconds, increasing.
        times: times [N], seconds; a time within a millionth of a row's interval of its stamp gives that row unchanged.

    Returns:
        States [N, 7], float64.
    """
    after = np.clip(np.searchsorted(stamps, times), 1, len(stamps) - 1)
    share = (times - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
    share = np.clip(np.where(np.abs(share - np.round(share)) < 1e-6, np.round(share), share), 0.0, 1.0)
    result = np.where(share[:, None] == 1, states[after], states[after - 1]).astype(np.float64)
    between = np.flatnonzero((share != 0) & (share != 1))
    if len(between):  # rotations are slow to compute; our own recordings, whose stamps are the times, need none
        share, before, behind = share[between, None], states[after[between] - 1], states[after[between]]
        start = Rotation.from_euler("xyz", before[:, ROTATION])
        turn = (Rotation.from_euler("xyz", behind[:, ROTATION]) * start.inv()).as_rotvec()
        result[between] = before + share * (behind - before)
        result[between, ROTATION] = (Rotation.from_rotvec(share * turn) * start).as_euler("xyz")
    return result


def matrix_to_euler(matrix: np.ndarray) -> np.ndarray:
    """[3, 3] rotation matrix to extrinsic "xyz" Euler angles [3] in radians."""
    return Rotation.from_matrix(matrix).as_euler("xyz")


def euler_to_matrix(euler: np.ndarray) -> np.ndarray:
    """Extrinsic "xyz" Euler angles [3] in radians to a rotation matrix [3, 3]."""
    return Rotation.from_euler("xyz", euler).as_matrix()
