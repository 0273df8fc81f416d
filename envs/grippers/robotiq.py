"""The Robotiq 2F-85."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vjepa_sim.envs.grippers.coupling import add_gripper_actuator, firm_pad, follow_joint
from vjepa_sim.envs.grippers.gripper_spec import PREFIX, GripperSpec

if TYPE_CHECKING:
    import mujoco

    from vjepa_sim.envs.loopback.robotiq import LoopbackRobotiq

CLOSED = 0.8  # rad, finger_joint
FOLLOWERS = {
    "right_outer_knuckle_joint": 1.0,
    "left_inner_knuckle_joint": 1.0,
    "right_inner_knuckle_joint": 1.0,
    "left_inner_finger_joint": -1.0,
    "right_inner_finger_joint": -1.0,
}  # joints that keep the pads parallel, each with its ratio to finger_joint


def couple(spec: mujoco.MjSpec) -> None:
    """Drive one joint and couple the linkage, so that the pads stay parallel.

    robosuite drives its two fingers independently: a cube slips out in two of three grasps.
    """
    for joint in ("finger_joint", *FOLLOWERS):
        element = spec.joint(PREFIX + joint)
        element.armature = 0.002
        element.damping = [0.02, 0, 0]
    for follower, ratio in FOLLOWERS.items():
        follow_joint(spec, PREFIX + follower, PREFIX + "finger_joint", ratio)
    for side in ("left", "right"):
        for geom in list(spec.body(f"{PREFIX}{side}_inner_finger").geoms):
            firm_pad(geom)
        for name in ("outer_knuckle", "inner_knuckle"):
            for geom in list(spec.body(f"{PREFIX}{side}_{name}").geoms):
                if geom.contype:
                    spec.delete(geom)
    add_gripper_actuator(spec, PREFIX + "finger_joint", gain=20.0, span=CLOSED, start=0.0, damping=0.6, force=3.0)


def _loopback(port: Path) -> LoopbackRobotiq:
    from vjepa_sim.envs.loopback.robotiq import LoopbackRobotiq

    return LoopbackRobotiq(port)


ROBOTIQ = GripperSpec(
    name="robotiq",
    robosuite="Robotiq85Gripper",
    couple=couple,
    fingers={"finger_joint": (0.0, CLOSED)} | {joint: (0.0, ratio * CLOSED) for joint, ratio in FOLLOWERS.items()},
    flange_to_pad=0.138,
    lowest_flange=0.158,
    driver="vjepa_sim.envs.grippers.robotiq_driver:Robotiq2F85",
    serial=True,
    loopback=_loopback,
)
