"""The contract of a robot: an arm with its gripper and its camera, simulated or real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vjepa_sim.envs.arm import Arm
from vjepa_sim.envs.observation import Observation

if TYPE_CHECKING:
    from vjepa_sim.envs.tasks import Progress


@dataclass(frozen=True, kw_only=True)
class RobotState:
    """State that a robot reports.

    Attributes:
        clock: time of the robot's own clock, seconds.
        pose: flange pose in the base frame [4, 4], metres.
        joints: joint positions [J], radians.
        force: external force on the flange [3], newtons, base frame.
        mode: the robot's own name for its mode, "" if it has none.
        needs: in words, what a person must do before the robot accepts motions; "" if nothing.
        link_quality: share of the last control packets that arrived in time, 0 to 1; None if the robot doesn't count.
        errors: names of the errors that the robot reports now.
    """

    clock: float
    pose: np.ndarray
    joints: np.ndarray
    force: np.ndarray
    mode: str = ""
    needs: str = ""
    link_quality: float | None = None
    errors: tuple[str, ...] = ()


class Robot(Arm, Protocol):
    """An :class:`.Arm` with what a deployment needs besides moving it."""

    @property
    def arm_name(self) -> str:
        """Name of the arm, one of :data:`.ARMS`."""
        ...

    @property
    def gripper(self) -> str:
        """Name of the gripper on it."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether the robot is simulated; its reset then brings the arm and the scene to the start by itself."""
        ...

    @property
    def description(self) -> str:
        """The software behind the robot, in words."""
        ...

    @property
    def camera_card(self) -> dict[str, Any]:
        """Description of the camera, JSON-compatible; it is stored with captured goals."""
        ...

    @property
    def gripper_status(self) -> str:
        """``ready``, or in words what must be done before the gripper can be used."""
        ...

    def release(self) -> None:
        """Bring the arm to rest and give up its control until the next reset; a person may arrange the scene."""
        ...

    def glimpse(self) -> Observation:
        """The present observation, also while the arm isn't controlled."""
        ...

    def robot_state(self) -> RobotState:
        """The state that the robot reports, also while it isn't controlled."""
        ...

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Measure the camera for some seconds: images per second, and the longest wait for an image in seconds."""
        ...

    def held_link_quality(self, seconds: float) -> float | None:
        """Hold the arm still for some seconds; returns the share of control packets that arrived in time.

        None, at once, from a robot that doesn't count them.
        """
        ...

    def set_speed(self, share: float) -> None:
        """Move at a share of the usual speed, in (0, 1], from now on."""
        ...

    def go_home(self) -> None:
        """Move to the start posture, then open the gripper."""
        ...

    def judge(self) -> Progress | None:
        """Progress by the task's own test; None where a person decides.

        Some tests count control steps: call this once after each reset and once after each command. Before the first
        reset it may be called at any time; None then means that there will be none.
        """
        ...


def simulated_camera(gripper: str, size: int) -> dict[str, Any]:
    """Description of the simulator's camera, see :attr:`Robot.camera_card`."""
    return {"simulated": {"gripper": gripper, "size": size}}
