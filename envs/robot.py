"""The contract of what an agent is deployed on: an arm with its gripper and its camera, simulated or real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vjepa_sim.envs.arm import Arm
from vjepa_sim.envs.observation import Observation

if TYPE_CHECKING:
    from vjepa_sim.envs.tasks import Progress


@dataclass(frozen=True)
class RobotState:
    """What a robot reports.

    Attributes:
        clock: seconds, the robot's own.
        pose: [4, 4], the flange in the base frame, metres.
        joints: [J], radians.
        force: [3], newtons, external, base frame.
        mode: the robot's, such as ``Idle`` or ``Move``.
        success_rate: share of the last control packets that arrived in time, 0 to 1.
        errors: that the robot reports now, by its own names.
    """

    clock: float
    pose: np.ndarray
    joints: np.ndarray
    force: np.ndarray
    mode: str
    success_rate: float
    errors: tuple[str, ...] = ()


class Robot(Arm, Protocol):
    """What a deployment asks of an arm besides moving it."""

    @property
    def gripper(self) -> str:
        """Name of the gripper on it."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether there is no metal; :meth:`reset` then brings the arm and the scene to the start by itself."""
        ...

    @property
    def description(self) -> str:
        """Which software answers, in words."""
        ...

    @property
    def camera_card(self) -> dict[str, Any]:
        """What takes the images, JSON-compatible, as it is kept beside goals."""
        ...

    @property
    def gripper_status(self) -> str:
        """``ready``, or what the gripper needs before it can be used, in words."""
        ...

    def release(self) -> None:
        """Come to rest, and control and watch the arm no more until :meth:`reset`: a person may set the scene."""
        ...

    def glimpse(self) -> Observation:
        """What is seen now, also while the arm isn't controlled."""
        ...

    def robot_state(self) -> RobotState:
        """What the robot reports, also while it isn't controlled."""
        ...

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Watch the camera for so long: images per second, and the longest wait for one in seconds."""
        ...

    def held_success_rate(self, seconds: float) -> float:
        """Hold still for so long; the share of control packets that arrived in time at the end."""
        ...

    def set_speed(self, share: float) -> None:
        """Move at a share of the usual speed from now on."""
        ...

    def go_home(self) -> None:
        """Move to the start posture, then open the gripper."""
        ...

    def judge(self) -> Progress | None:
        """The present moment by the task's own test; None where only a person can tell.

        Some tests count moments: ask once after each reset and once after each command.
        """
        ...


def simulated_camera(gripper: str, size: int) -> dict[str, Any]:
    """The card of the simulator's camera."""
    return {"simulated": {"gripper": gripper, "size": size}}
