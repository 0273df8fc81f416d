"""What the simulator must know of an arm, and the arms that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.registry import Registry

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, eq=False)
class ArmSpec:
    """An arm of J joints in the simulator, moved by position servos on its joints.

    Attributes:
        name: as on the command line.
        title: as in the ids of environments: ``vjepa_sim/<title>Reach-v0``.
        robosuite: name of robosuite's robot model, such as ``Panda``.
        joints: names of its J joints, from the base on.
        flange: body that carries the flange, and the flange's place in that body [3], metres.
        hand_quaternion: orientation [4] (w, x, y, z) of robosuite's ``robot0_right_hand`` in its parent at which a
            gripper's fingers open along the flange's y.
        home: posture [J] in radians in which the flange points straight down and the fingers of a gripper that is
            mounted straight open along the base frame's y.
        joints_low, joints_high: joint limits [J], radians.
        stiffness, damping, torque: of the servos [J]: Nm/rad, Nms/rad, Nm.
        armature: rotor inertia of the joints, kg m².
        colliding: bodies whose contacts are simulated; the others can't reach the table.
    """

    name: str
    title: str
    robosuite: str
    joints: tuple[str, ...]
    flange: tuple[str, tuple[float, float, float]]
    hand_quaternion: tuple[float, float, float, float]
    home: np.ndarray
    joints_low: np.ndarray
    joints_high: np.ndarray
    stiffness: np.ndarray
    damping: np.ndarray
    torque: np.ndarray
    armature: float
    colliding: tuple[str, ...]

    def home_joints(self, mount_yaw: float = 0.0) -> np.ndarray:
        """Joints [J] in radians at which the flange points straight down and the fingers open along the base frame's y.

        Args:
            mount_yaw: radians by which the gripper is mounted turned about the flange's axis, see
                :attr:`.GripperSpec.mount_yaw`; the last joint makes up for it.
        """
        joints = self.home.copy()
        joints[-1] -= mount_yaw
        return joints


ARMS: Registry[ArmSpec] = Registry("arm")
