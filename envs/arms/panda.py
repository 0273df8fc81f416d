"""The Franka Panda (and FR3): its specification, and forward kinematics without a simulator."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.arms.arm_spec import ARMS, ArmSpec
from vjepa_sim.envs.pose import matrix_to_euler

# DROID's reset posture, radians. The flange is at (0.360, 0, 0.490) and points straight down.
HOME_JOINTS = np.array([0.0, -np.pi / 5, 0.0, -4 * np.pi / 5, 0.0, 3 * np.pi / 5, 0.0])

# Joint limits within those of both the Panda and the FR3, radians.
JOINTS_LOW = np.array([-2.7501, -1.7628, -2.8973, -3.0481, -2.8101, 0.5409, -2.8973])
JOINTS_HIGH = np.array([2.7501, 1.7628, 2.8973, -0.1458, 2.8101, 3.7525, 2.8973])
JOINT_SPEEDS = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])  # rad/s, maxima of the Panda

# Denavit-Hartenberg parameters (a [m], d [m], alpha [rad]) of each joint and of the flange, in Craig's convention.
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


def flange_poses(joints: np.ndarray) -> np.ndarray:
    """Flange poses [T, 6] in the base frame, metres and extrinsic "xyz" Euler radians, at joints [T, 7] in radians."""
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


PANDA = ARMS.register(
    ArmSpec(
        name="panda",
        title="Franka",
        robosuite="Panda",
        joints=tuple(f"robot0_joint{i}" for i in range(1, 8)),
        flange=("robot0_link7", (0.0, 0.0, 0.107)),
        end_effector_quaternion=(1.0, 0.0, 0.0, 0.0),
        home=HOME_JOINTS,
        joints_low=JOINTS_LOW,
        joints_high=JOINTS_HIGH,
        # Stiff, so that a step of 7.5 cm ends within 2 mm of its target.
        stiffness=np.array([8000.0, 8000.0, 7000.0, 7000.0, 4000.0, 4000.0, 3000.0]),
        damping=np.array([310.0, 310.0, 255.0, 255.0, 100.0, 100.0, 70.0]),
        torque=np.array([87.0, 87.0, 87.0, 87.0, 60.0, 60.0, 60.0]),
        armature=0.3,
        colliding=("robot0_link6", "robot0_link7"),
        workspace_low=(0.28, -0.35),
        workspace_high=(0.70, 0.35, 0.60),
        flange_poses=flange_poses,
    )
)
