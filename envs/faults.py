"""Faults that stop an arm: one exception per cause, with the measured value and the limit that it exceeded.

An arm that was stopped stays stopped, and a reset raises its fault again: a person must inspect it, then open it again.
"""

from __future__ import annotations

from vjepa_sim.envs.errors import UserError


class ArmFault(UserError):
    """A condition that stops the arm. The command line prints it without a traceback.

    Attributes:
        limit: name of the limit that was exceeded, or "".
        measured: value that exceeded it, or None.
    """

    remedy = "Inspect the arm, then start again."

    def __init__(self, what: str, limit: str = "", measured: float | None = None):
        self.limit, self.measured = limit, measured
        super().__init__(f"{type(self).__name__}: {what} {self.remedy}")


class OutOfWorkspace(ArmFault):
    """The measured pose has left the workspace box."""

    remedy = "Guide the arm back by hand, or widen the box if that place is safe."


class ForceExceeded(ArmFault):
    """The external force exceeds its limit."""

    remedy = "Free the arm, find out what it touched, then start again."


class JointNearLimit(ArmFault):
    """A joint is closer to its limit than the margin allows."""

    remedy = "Guide the arm to a posture away from its joint limits."


class UnreachablePose(ArmFault):
    """The arm did not reach its commanded pose."""

    remedy = "Something is in its way, or the pose is out of reach."


class StaleRobotClock(ArmFault):
    """The robot's own clock has stopped: its reported states are old."""

    remedy = "Check the network to the robot's control box."


class StaleCamera(ArmFault):
    """The newest image is too old."""

    remedy = "Check the camera, its cable and its stream."


class BlindCamera(ArmFault):
    """The camera's images show nothing, stay the same while the arm moves, or have another size than before."""

    remedy = "Look at the camera's image: check lens, light, cable and stream, and that it sees the arm."


class AgentSilent(ArmFault):
    """The agent has sent no command for too long."""

    remedy = "The agent hangs or is too slow for this limit."


class NotFinite(ArmFault):
    """A state or command is not finite."""

    remedy = "Nothing was sent; look for the error in the agent."


class Reflex(ArmFault):
    """The robot's own safety reflex stopped it."""

    remedy = "Inspect the arm, clear the error in Desk, then start again."


class UserStopped(ArmFault):
    """The stop button or the enabling device was used."""

    remedy = "Release it when it is safe, and start again."


class ConnectionLost(ArmFault):
    """The robot can't be reached, or the connection was lost."""

    remedy = "Check power, network, and that FCI is active in Desk."


class GripperFault(ArmFault):
    """The gripper does not answer, or reports a fault."""

    remedy = "Check its cable and power, then start again."
