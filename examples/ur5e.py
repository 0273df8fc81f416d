"""A second arm: Universal Robots' UR5e with Robotiq's 2F-140, as robosuite models them.

Try it::

    vjepa-sim collect --plugin examples/ur5e.py --arm ur5e --gripper robotiq_140 --out episodes --episodes 100
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.arms import ARMS, ArmSpec
from vjepa_sim.envs.grippers import GRIPPERS, GripperSpec
from vjepa_sim.envs.grippers.coupling import couple_linkage

if TYPE_CHECKING:
    import mujoco

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
LIMIT = np.array([2 * np.pi, 2 * np.pi, np.pi, 2 * np.pi, 2 * np.pi, 2 * np.pi])  # rad

ARMS.register(
    ArmSpec(
        name="ur5e",
        title="UR5e",
        robosuite="UR5e",
        joints=tuple(f"robot0_{name}_joint" for name in JOINTS),
        flange=("robot0_right_hand", (0.0, 0.0, 0.0)),
        end_effector_quaternion=(0.70710678, -0.70710678, 0.0, 0.0),  # as robosuite has it
        # The flange is at (0.42, 0, 0.49) and points straight down.
        home=np.array([-0.32474, -1.79342, 1.76656, -1.54394, -1.57080, -1.89554]),
        joints_low=-LIMIT,
        joints_high=LIMIT,
        stiffness=np.array([8000.0, 8000.0, 7000.0, 4000.0, 4000.0, 3000.0]),
        damping=np.array([310.0, 310.0, 255.0, 100.0, 100.0, 70.0]),
        torque=np.array([150.0, 150.0, 150.0, 60.0, 60.0, 60.0]),
        armature=0.3,
        colliding=("robot0_wrist_2_link", "robot0_wrist_3_link"),
        workspace_low=(0.28, -0.35),
        workspace_high=(0.70, 0.35, 0.60),
    )
)

CLOSED = 0.7  # rad, finger_joint
FOLLOWERS = {
    "right_outer_knuckle_joint": -1.0,
    "left_inner_knuckle_joint": -1.0,
    "right_inner_knuckle_joint": -1.0,
    "left_inner_finger_joint": 1.0,
    "right_inner_finger_joint": 1.0,
}  # joints that keep the pads parallel, each with its ratio to finger_joint


def couple(spec: mujoco.MjSpec) -> None:
    """Couple the linkage's joints, with a range beyond both ends: robosuite's ends where the fingers are closed."""
    couple_linkage(spec, ratios=FOLLOWERS, closed=CLOSED, joint_range=(-1.0, 1.0))


GRIPPERS.register(
    GripperSpec(
        name="robotiq_140",
        robosuite="Robotiq140Gripper",
        couple=couple,
        fingers={"finger_joint": (0.0, CLOSED), **{name: (0.0, ratio * CLOSED) for name, ratio in FOLLOWERS.items()}},
        flange_to_pad=0.200,
        lowest_flange=0.236,
    )
)
