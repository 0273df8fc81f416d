"""Why an arm was stopped: one exception for each reason, with what was measured and which limit it broke.

An arm that has stopped stays stopped, and a reset raises its fault again: a person looks, and makes a new one.
"""

from __future__ import annotations

from vjepa_sim.envs.errors import UserError


class ArmFault(UserError):
    """Something that must stop the arm. The command line prints it without a traceback.

    Attributes:
        limit: name of the setting that was broken, or "".
        measured: the number that broke it, or None.
    """

    remedy = "Look at the arm, then start again."

    def __init__(self, what: str, limit: str = "", measured: float | None = None):
        self.limit, self.measured = limit, measured
        super().__init__(f"{type(self).__name__}: {what} {self.remedy}")


class OutOfWorkspace(ArmFault):
    """The measured pose has left the workspace box."""

    remedy = "Guide the arm back by hand, or widen the box if that place is safe."


class ForceExceeded(ArmFault):
    """The arm pushes, or is pushed, harder than it may."""

    remedy = "Free the arm, find out what it met, then start again."


class JointNearLimit(ArmFault):
    """A joint is closer to its end than it may be."""

    remedy = "Guide the arm to a more comfortable posture."


class UnreachablePose(ArmFault):
    """The arm is not where it was sent."""

    remedy = "Something is in its way, or the pose is out of reach."


class StaleRobotClock(ArmFault):
    """The robot's own clock stands still: its states are old copies."""

    remedy = "Check the network to the robot's control box."


class StaleCamera(ArmFault):
    """The newest picture is too old."""

    remedy = "Check the camera, its cable and its stream."


class AgentSilent(ArmFault):
    """No command has come for too long."""

    remedy = "The agent hangs or is too slow for this limit."


class NotFinite(ArmFault):
    """A number that must steer the arm is not finite."""

    remedy = "Nothing was sent; look for the mistake in the agent."


class Reflex(ArmFault):
    """The robot stopped itself."""

    remedy = "Look at the arm, clear the error in Desk, then start again."


class UserStopped(ArmFault):
    """The stop button or the enabling device was used."""

    remedy = "Release it when it is safe, and start again."


class ConnectionLost(ArmFault):
    """The robot can't be reached, or no longer."""

    remedy = "Check power, network, and that FCI is active in Desk."


class GripperFault(ArmFault):
    """The gripper doesn't answer, or reports a fault."""

    remedy = "Check its cable and power, then start again."
