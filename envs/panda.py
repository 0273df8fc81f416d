"""The Panda's and FR3's forward kinematics without a simulator, from Franka's Denavit-Hartenberg parameters."""

from __future__ import annotations

import numpy as np

from envs.pose import matrix_to_euler

# DROID's reset posture, radians. The flange is at (0.360, 0, 0.490) and points straight down.
HOME_JOINTS = np.array([0.0, -np.pi / 5, 0.0, -4 * np.pi / 5, 0.0, 3 * np.pi / 5, 0.0])

# (a [m], d [m], alpha [rad]) of each joint, in Craig's convention, and of the flange last.
PARAMETERS = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
    (0.0, 0.107, 0.0),
)

# Ends of the joints, radians: what both the Panda and the FR3 can do.
JOINTS_LOW = np.array([-2.7501, -1.7628, -2.8973, -3.0481, -2.8101, 0.5409, -2.8973])
JOINTS_HIGH = np.array([2.7501, 1.7628, 2.8973, -0.1458, 2.8101, 3.7525, 2.8973])
JOINT_SPEEDS = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])  # rad/s, the Panda's highest


def home_joints(gripper: str) -> np.ndarray:
    """Joints [7] at which the fingers of a gripper open along the base frame's y and the flange points down.

    Args:
        gripper: ``robotiq`` or ``panda_hand``.
    """
    joints = HOME_JOINTS.copy()
    if gripper == "panda_hand":
        joints[6] = np.pi / 4  # the Franka Hand is mounted turned by -45 degrees
    return joints


def flange_poses(joints: np.ndarray) -> np.ndarray:
    """Poses [T, 6] of the flange in the base frame, metres and extrinsic "xyz" Euler radians, at joints [T, 7] in
    radians.
    """
    return np.array([_flange_pose(row) for row in np.asarray(joints, np.float64)])


def _flange_pose(joints: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(PARAMETERS, [*joints, 0.0], strict=True):
        ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array(
            [
                [ct, -st, 0, a],
                [st * ca, ct * ca, -sa, -d * sa],
                [st * sa, ct * sa, ca, d * ca],
                [0, 0, 0, 1],
            ]
        )
    return np.concatenate([pose[:3, 3], matrix_to_euler(pose[:3, :3])])
