"""The Robotiq 2F-85."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vjepa_sim.envs.grippers.coupling import couple_linkage
from vjepa_sim.envs.grippers.gripper_spec import GripperSpec

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
    """Couple the linkage's joints."""
    couple_linkage(spec, ratios=FOLLOWERS, closed=CLOSED)


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
