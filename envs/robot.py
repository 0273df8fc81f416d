"""The contract of what an agent is deployed on: an arm with its gripper and its camera, simulated or real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from envs.arm import Arm
from envs.franka.driver import RobotState
from envs.observation import Observation

if TYPE_CHECKING:
    from envs.tasks import Progress


class Robot(Arm, Protocol):
    """What a deployment asks of an arm besides moving it.

    Attributes:
        gripper: ``robotiq`` or ``panda_hand``.
        simulated: whether there is no metal; :meth:`reset` then brings the arm and the scene to the start by itself.
        description: which software answers, in words.
        camera_card: what takes the pictures, JSON-compatible, as it is kept beside goals.
        gripper_status: ``ready``, or what the gripper needs before it can be used, in words.
    """

    gripper: str
    simulated: bool
    description: str
    camera_card: dict[str, Any]
    gripper_status: str

    def release(self) -> None:
        """Come to rest, and control and watch the arm no more until :meth:`reset`: a person may set the scene."""

    def glimpse(self) -> Observation:
        """What is seen now, also while the arm isn't controlled."""

    def robot_state(self) -> RobotState:
        """What the robot reports, also while it isn't controlled."""

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Watch the camera for so long: pictures per second, and the longest wait for one in seconds."""

    def held_success_rate(self, seconds: float) -> float:
        """Hold still for so long; the share of control packets that arrived in time at the end."""

    def set_speed(self, share: float) -> None:
        """Move at a share of the usual speed from now on."""

    def go_home(self) -> None:
        """Move to the start posture, then open the gripper."""

    def judge(self) -> Progress | None:
        """The present moment by the task's own test; None where only a person can tell.

        Some tests count moments: ask once after each reset and once after each command.
        """


def simulated_camera(gripper: str, size: int) -> dict[str, Any]:
    """The card of the simulator's camera."""
    return {"simulated": {"gripper": gripper, "size": size}}
