"""Specification of an arm, and the registry of arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs.part_checks import (
    A_ROTATION,
    A_TITLE,
    TITLE,
    are_numbers,
    are_texts,
    check_fields,
    is_number,
    is_rotation,
    is_text,
)
from vjepa_sim.envs.registry import Registry

SERVO = ("stiffness", "damping", "torque")


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmSpec:
    """An arm of J joints in the simulator, moved by position servos on its joints.

    Attributes:
        name: name on the command line.
        title: part of environment ids, ``vjepa_sim/<title>Reach-v0``.
        robosuite: name of robosuite's robot model, such as ``Panda``.
        joints: names of its J joints, starting at the base.
        flange: body that carries the flange, and the position of the flange in that body [3], metres.
        end_effector_quaternion: orientation [4] (w, x, y, z) of robosuite's body ``robot0_right_hand`` in its parent at
            which a gripper's fingers open along the flange's y axis.
        home: posture [J], radians, in which the flange points straight down and the fingers of a gripper without
            mounting rotation open along the base frame's y axis.
        joints_low, joints_high: joint limits [J], radians.
        stiffness, damping, torque: gains and torque limits of the servos [J]: Nm/rad, Nms/rad, Nm.
        armature: rotor inertia of the joints, kg m².
        colliding: names of the bodies whose contacts are simulated; the others can't reach the table.
        workspace_low: lower corner [2] of the box of commanded flange positions: x and y, metres, base frame; its
            lowest height is the gripper's, see :func:`.default_limits`.
        workspace_high: upper corner [3] of that box: x, y and z, metres, base frame.
        flange_poses: forward kinematics without a simulator, by which recordings are checked: flange poses [T, 6]
            (metres and extrinsic "xyz" Euler radians, base frame) at joints [T, J]; None if there are none.
    """

    name: str
    title: str
    robosuite: str
    joints: tuple[str, ...]
    flange: tuple[str, tuple[float, float, float]]
    end_effector_quaternion: tuple[float, float, float, float]
    home: np.ndarray
    joints_low: np.ndarray
    joints_high: np.ndarray
    stiffness: np.ndarray
    damping: np.ndarray
    torque: np.ndarray
    armature: float
    colliding: tuple[str, ...]
    workspace_low: tuple[float, float]
    workspace_high: tuple[float, float, float]
    flange_poses: Callable[[np.ndarray], np.ndarray] | None = None

    def home_joints(self, mount_yaw: float = 0.0) -> np.ndarray:
        """Joints [J] in radians at which the flange points straight down and the fingers open along the base frame's y.

        Args:
            mount_yaw: rotation of the mounted gripper about the flange's axis, radians, see
                :attr:`.GripperSpec.mount_yaw`; the last joint compensates it.
        """
        joints = self.home.copy()
        joints[-1] -= mount_yaw
        return joints


def _check_arm(arm: ArmSpec) -> None:
    count = len(arm.joints) if isinstance(arm.joints, tuple) else 0
    each = f"an array of {count} finite numbers, one for each of its joints"

    def is_vector(field: str, low: float = -np.inf) -> bool:
        values = getattr(arm, field)
        return isinstance(values, np.ndarray) and are_numbers(values, count, low)

    check_fields(
        "arm",
        arm,
        (
            ("title", is_text(arm.title, TITLE), A_TITLE),
            ("robosuite", is_text(arm.robosuite), "the name of a robot of robosuite"),
            ("joints", count > 0 and are_texts(arm.joints), "a tuple of names"),
            *((field, is_vector(field), each) for field in ("home", "joints_low", "joints_high")),
            *((field, is_vector(field, low=0.0), f"{each}, none negative") for field in SERVO),
            ("armature", is_number(arm.armature, low=0), "a number of at least 0"),
            (
                "flange",
                isinstance(arm.flange, tuple)
                and len(arm.flange) == 2
                and is_text(arm.flange[0])
                and are_numbers(arm.flange[1], 3),
                "the name of a body, and 3 finite numbers",
            ),
            ("end_effector_quaternion", is_rotation(arm.end_effector_quaternion), A_ROTATION),
            ("colliding", are_texts(arm.colliding), "a tuple of names of bodies"),
            ("workspace_low", are_numbers(arm.workspace_low, 2), "2 finite numbers, x and y"),
            ("workspace_high", are_numbers(arm.workspace_high, 3), "3 finite numbers, x, y and z"),
            ("flange_poses", arm.flange_poses is None or callable(arm.flange_poses), "a function or None"),
        ),
    )
    inside = np.all(arm.joints_low < arm.home) and np.all(arm.home < arm.joints_high)
    wide = np.all(np.less(arm.workspace_low, arm.workspace_high[:2]))
    check_fields(
        "arm",
        arm,
        (
            ("home", inside, "a posture between joints_low and joints_high"),
            ("workspace_high", wide, f"an upper corner above workspace_low, {arm.workspace_low}"),
            ("stiffness", np.all(arm.stiffness > 0), "gains above 0"),
        ),
    )


ARMS: Registry[ArmSpec] = Registry("arm", ArmSpec, _check_arm)
