"""The Franka Hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.grippers.coupling import add_gripper_actuator, firm_pad, follow_joint
from vjepa_sim.envs.grippers.gripper_spec import PREFIX, GripperSpec, side_of_finger

if TYPE_CHECKING:
    import mujoco

OPEN = 0.04  # m, each finger


def couple(spec: mujoco.MjSpec) -> None:
    """Drive one finger joint and mirror it to the other."""
    for joint in ("finger_joint1", "finger_joint2"):
        element = spec.joint(PREFIX + joint)
        element.armature, element.damping, element.frictionloss = 0.5, [20.0, 0, 0], 0.0
    follow_joint(spec, PREFIX + "finger_joint2", PREFIX + "finger_joint1", -1)
    for body in spec.bodies:
        if "finger" in body.name:
            for geom in list(body.geoms):
                firm_pad(geom)
    add_gripper_actuator(spec, PREFIX + "finger_joint1", gain=4000.0, span=-OPEN, start=OPEN, damping=150.0, force=60.0)


def finger_side(body: str) -> str | None:
    """The finger of a body, see :attr:`.GripperSpec.finger_side`; the fingertips are named after the joints."""
    return {"finger_joint1_tip": "left", "finger_joint2_tip": "right"}.get(body) or side_of_finger(body)


PANDA_HAND = GripperSpec(
    name="panda_hand",
    robosuite="PandaGripper",
    couple=couple,
    fingers={"finger_joint1": (OPEN, 0.0), "finger_joint2": (-OPEN, 0.0)},
    flange_to_pad=0.097,
    lowest_flange=0.113,
    mount_yaw=-np.pi / 4,
    mount_quaternion=(0.924, 0.0, 0.0, -0.383),  # as in robosuite
    finger_side=finger_side,
    driver="vjepa_sim.envs.grippers.franka_hand_driver:FrankaHand",
)
