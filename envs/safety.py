"""The safety envelope, the same for the simulated and the real arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.arm import Arm
from vjepa_sim.envs.arms import ARMS, PANDA
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import (
    AgentSilent,
    ArmFault,
    ForceExceeded,
    JointNearLimit,
    NotFinite,
    OutOfWorkspace,
    StaleCamera,
    StaleRobotClock,
    UnreachablePose,
)
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.observation import Observation, check_action
from vjepa_sim.envs.status import ArmStatus

UNREACHED = 0.02  # metres or radians by which the executed action may differ unreported


@dataclass(frozen=True, kw_only=True)
class SafetyLimits:
    """Limits of one command, of the workspace, and of the measured status.

    Attributes:
        max_translation: metres per step along each axis (a box, as in the V-JEPA 2 planner).
        max_rotation: radians per step about each axis.
        max_gripper: closedness per step.
        workspace_low: lower corner [3] of the box of commanded flange positions, metres, base frame.
        workspace_high: upper corner [3] of that box.
        workspace_margin: metres by which the measured flange may lie outside of that box.
        max_force: newtons at the flange.
        joint_margin: smallest distance of a joint to its limits, radians.
        max_unreached: largest position error of a real arm at the end of its motion, metres.
        max_unturned: largest rotation error then, radians.
        max_clock_age: seconds for which the robot's own clock may stand still.
        max_camera_age: largest age of the newest image, seconds.
        max_silence: seconds that may pass without a command of the agent.
    """

    max_translation: float = 0.075
    max_rotation: float = 0.2
    max_gripper: float = 0.75
    workspace_low: tuple[float, float, float] = (*PANDA.workspace_low, 0.158)
    workspace_high: tuple[float, float, float] = PANDA.workspace_high
    workspace_margin: float = 0.03
    max_force: float = 25.0
    joint_margin: float = 0.03
    max_unreached: float = 0.04
    max_unturned: float = 0.2
    max_clock_age: float = 0.2
    max_camera_age: float = 0.5
    max_silence: float = 30.0

    def __post_init__(self) -> None:
        if not all(np.isfinite(limit) and limit > 0 for limit in self.step):
            raise UserError(f"Step limits must be positive numbers; given {self}.")
        for name in ("max_force", "max_unreached", "max_unturned", "max_clock_age", "max_camera_age", "max_silence"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name}={getattr(self, name)}: a limit must be above 0 (inf switches it off).")
        if not (self.workspace_margin >= 0 and self.joint_margin >= 0):
            raise UserError(f"Margins must not be negative; given {self}.")
        if not all(low < high for low, high in zip(self.workspace_low, self.workspace_high, strict=True)):
            raise UserError(f"The workspace's low corner must lie below its high corner; given {self}.")

    @property
    def step(self) -> np.ndarray:
        """Largest absolute action [7]."""
        return np.array([self.max_translation] * 3 + [self.max_rotation] * 3 + [self.max_gripper])

    def check(self, status: ArmStatus) -> None:
        """Compare a status with the limits; an arm calls it, a real one in every tick of its servo.

        Raises:
            ArmFault: a limit is exceeded; its subclass is the kind of limit.
        """
        if not np.all(np.isfinite(status.state)):
            raise NotFinite(f"The measured state {_words(status.state)} is not finite.")
        _limit(StaleRobotClock, "max_clock_age", status.clock_age, self, "s since the robot's clock last moved")
        _limit(StaleCamera, "max_camera_age", status.camera_age, self, "s since the last image")
        _limit(AgentSilent, "max_silence", status.silence, self, "s without a command")
        _limit(ForceExceeded, "max_force", status.force, self, "N at the flange")
        if status.joints is not None and status.joints_low is not None and status.joints_high is not None:
            room = np.minimum(status.joints - status.joints_low, status.joints_high - status.joints)
            if room.min() < self.joint_margin:
                raise JointNearLimit(
                    f"Joint {room.argmin() + 1} is {room.min():.3f} rad from its limit; at least "
                    f"{self.joint_margin} must be kept.",
                    "joint_margin",
                    float(room.min()),
                )
        place = status.state[pose.POSITION]
        # After the others: these hold on the way home too, which may begin outside of the workspace.
        outside = np.maximum(np.array(self.workspace_low) - place, place - np.array(self.workspace_high)).max()
        if outside > self.workspace_margin:
            raise OutOfWorkspace(
                f"The flange is at {_words(place)}, {outside * 100:.1f} cm outside the box from "
                f"{_words(np.array(self.workspace_low))} to {_words(np.array(self.workspace_high))}.",
                "workspace_margin",
                float(outside),
            )
        if status.arrived:
            away = float(np.linalg.norm(status.target[pose.POSITION] - place))
            turned = float(np.linalg.norm(pose.rotation_vector(status.target, status.state)))
            _limit(UnreachablePose, "max_unreached", away, self, "m from the commanded position")
            _limit(UnreachablePose, "max_unturned", turned, self, "rad from the commanded rotation")


def check_limits(limits: object) -> SafetyLimits:
    """Return ``limits`` if they are :class:`SafetyLimits`, else raise :class:`.UserError`."""
    if not isinstance(limits, SafetyLimits):
        raise UserError(f"limits must be a vjepa_sim.envs.safety.SafetyLimits; a {type(limits).__name__} was given.")
    return limits


def default_limits(arm: str, gripper: str) -> SafetyLimits:
    """The limits for an arm with a gripper: the arm's workspace, in which closed fingertips just stay above the table.

    Args:
        arm: name of one of :data:`.ARMS`.
        gripper: name of one of :data:`.GRIPPERS`.

    Raises:
        UserError: there is no such arm or gripper.
    """
    spec = ARMS[arm]
    return SafetyLimits(
        workspace_low=(*spec.workspace_low, GRIPPERS[gripper].lowest_flange), workspace_high=spec.workspace_high
    )


class SafetyEnvelope:
    """An :class:`.Arm` around another arm: it clips each command to the limits, and checks each status of the arm.

    Attributes:
        clipped: changes of the last command, in words; empty if it was sent as given.
    """

    def __init__(self, arm: Arm, limits: SafetyLimits | None = None):
        self.arm = arm
        self.limits = SafetyLimits() if limits is None else check_limits(limits)
        self.clipped: list[str] = []
        arm.watch(self.limits.check)  # not a method of this object: the arm would own its owner

    @property
    def period(self) -> float:
        """Control period: seconds that one command takes."""
        return self.arm.period

    @property
    def target(self) -> np.ndarray:
        """The arm's commanded state [7]."""
        return self.arm.target

    def reset(self) -> Observation:
        """See :meth:`.Arm.reset`."""
        self.clipped = []
        return self.arm.reset()

    def observe(self) -> Observation:
        """See :meth:`.Arm.observe`."""
        return self.arm.observe()

    def command(self, action: np.ndarray) -> np.ndarray:
        """Clip an action [7] and send it; returns the action [7] that the arm sent.

        Raises:
            UserError: the action does not have shape (7,); nothing is sent.
            NotFinite: the action is not finite; nothing is sent.
            ArmFault: what stopped the arm.
        """
        allowed, self.clipped = self.allowed(action)
        sent = self.arm.command(allowed)
        if np.abs(sent - allowed)[:6].max() > UNREACHED:
            self.clipped.append(f"reach: {_words(allowed[:6])} became {_words(sent[:6])}, as far as the arm reaches")
        return sent

    def allowed(self, action: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Clip an action [7] to the limits at the arm's commanded state; nothing is sent.

        Returns:
            The action [7] within the limits, and its changes in words.

        Raises:
            UserError: the action does not have shape (7,).
            NotFinite: the action is not finite.
        """
        action = check_action(action)
        clipped: list[str] = []
        step = self.limits.step
        allowed = np.clip(action, -step, step)
        if not np.array_equal(allowed, action):
            clipped.append(f"step limit {step.tolist()}: {_words(action)} became {_words(allowed)}")
        # The box bounds the commanded position, not the measured one: an end effector that is held up must not be
        # commanded further down through the table.
        start = self.arm.target[pose.POSITION]
        goal = start + allowed[pose.POSITION]
        inside = np.clip(goal, self.limits.workspace_low, self.limits.workspace_high)
        if not np.array_equal(inside, goal):
            # An arm that starts outside the box returns in steps and never moves further out.
            allowed[pose.POSITION] = np.clip(inside - start, -step[:3], step[:3])
            clipped.append(f"workspace: goal {_words(goal)} became {_words(inside)}")
        return allowed, clipped

    def status(self) -> ArmStatus:
        """See :meth:`.Arm.status`."""
        return self.arm.status()

    def close(self) -> None:
        """See :meth:`.Arm.close`."""
        self.arm.close()


def _limit(fault: type[ArmFault], name: str, measured: float, limits: SafetyLimits, unit: str) -> None:
    if measured > getattr(limits, name):
        raise fault(f"{measured:.3g} {unit}, {getattr(limits, name):g} are allowed ({name}).", name, measured)


def _words(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
