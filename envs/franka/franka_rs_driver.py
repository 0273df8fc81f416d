"""A Franka arm through franka-rs, which speaks the FR3's protocol (version 10) and the Panda's (version 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ArmFault, ConnectionLost, ForceExceeded, Reflex, UserStopped
from vjepa_sim.envs.franka.connecting import Connected, connect_in_time
from vjepa_sim.envs.franka.connection import Connection
from vjepa_sim.envs.franka.driver import (
    COLLISION_FORCE,
    COLLISION_TORQUE,
    check_joints,
    check_mode,
    check_pose,
    needs_in,
    rigid,
)
from vjepa_sim.envs.robot import RobotState

# The library smooths every step of a reference. Its speeds must exceed the servo's, or the arm stops late. They are
# norms, of which an axis gets 1/sqrt(3). The gains, and the largest lead of the smoothed reference (25 mm), are the
# library's own, close to DROID's.
SPEEDS = {"max_velocity": 0.6, "max_acceleration": 4.0, "max_jerk": 200.0}  # metres
TURNING_SPEEDS = {"max_angular_velocity": 1.6, "max_angular_acceleration": 10.0, "max_angular_jerk": 500.0}  # radians
ANYWHERE = {
    "max_deviation": 3.0,
    "max_angular_deviation": 3.2,
}  # m and rad from the start; no limit in effect
JOINT_SHARE = 0.5  # of the joints' full speed
ANY_JOINTS = 6.3  # rad from the start
MODES = {"idle": "Idle", "move": "Move", "reflex": "Reflex", "user_stopped": "UserStopped"}  # to libfranka's names


class FrankaRsDriver(Connected):
    """See :class:`.Driver`.

    The library's loop has no force limit, but the robot has one per axis: so a force along an axis ends the motion by
    the robot's own reflex, which must be recovered from. An oblique one ends it at the next :meth:`check`.
    """

    def __init__(self, host: str):
        """
        Args:
            host: address of the robot's control box.

        Raises:
            UserError: franka-rs is not installed, or does not speak the robot's version.
            ArmFault: the robot can't be reached, is stopped, or is held by another client.
        """
        self._franka = _import_franka()
        self._host = host
        self._motion: Any = None
        self._max_force = COLLISION_FORCE
        self._tool = np.eye(4)
        with self._faults():
            self._robot = connect_in_time(lambda: self._franka.Robot(host, realtime="ignore"), host)
        self._connection = Connection(host)
        self.description = f"franka-rs {version('franka-rs')}"

    def read(self) -> RobotState:
        """The newest state; during a motion the last copy, without waiting."""
        with self._faults():
            state = self._state()
            return RobotState(
                clock=float(state.time),
                pose=rigid(state.O_T_EE) @ np.linalg.inv(rigid(state.F_T_EE)),
                joints=np.array(state.q),
                force=np.array(state.O_F_ext_hat_K[:3]),
                mode=_mode(state),
                needs=needs_in(_mode(state)),
                link_quality=float(state.control_command_success_rate),
                errors=tuple(state.current_errors),
            )

    def start(self, max_force: float) -> None:
        """Hold the present pose with a compliant Cartesian impedance."""
        self._begin(max_force, lambda: self._connected.cartesian_targets(**SPEEDS, **TURNING_SPEEDS, **ANYWHERE))

    def follow(self, pose: np.ndarray) -> None:
        """Move the reference to a flange pose [4, 4]."""
        check_pose(pose)
        self._lead(_target(pose @ self._tool))

    def start_joints(self, max_force: float) -> None:
        """Hold the present joints with a joint impedance."""
        self._begin(max_force, lambda: self._connected.joint_targets(fraction=JOINT_SHARE, max_deviation=ANY_JOINTS))

    def follow_joints(self, joints: np.ndarray, speeds: np.ndarray) -> None:
        """Move the reference to joints [7], rad; the library computes the speeds itself."""
        check_joints(joints, speeds)
        self._lead(joints)

    def check(self) -> None:
        """Raise the fault that has ended the motion, if any, or a fault if the force in any direction is too large."""
        motion = self._motion
        if motion is None:
            return
        with self._faults():
            ended = not motion.running
            self._check_force(motion.state())
            if not ended and self._connection.lost:  # the library would wait for states for a second
                raise ConnectionLost(f"The robot at {self._host} has closed the connection.")
            if not ended:
                return
            self._motion = None
            try:
                motion.stop()  # raises the reason
            except self._franka.ControlException:
                self._check_force(self._state())  # the loop's last copy is older than what ended it
                raise
            check_mode(_mode(self._state()))
            raise ArmFault("The motion has ended without an error.")

    def stop(self) -> None:
        """Bring the arm to rest and end the motion."""
        motion, self._motion = self._motion, None
        if motion is None:
            return
        with suppress(Exception):  # after any failure, the remaining ways to stop are still tried
            state = motion.state()
            joints = isinstance(motion, self._franka.JointTargets)
            motion.move_to(state.q if joints else _target(rigid(state.O_T_EE)))
        with suppress(Exception):
            motion.stop()  # waits until the arm is at rest

    def close(self) -> None:
        """Bring the arm to rest and disconnect."""
        self.stop()
        self._connection.close()
        self._robot = None

    def _begin(self, max_force: float, begin: Callable[[], Any]) -> None:
        """Start the library's loop, and set the robot's own force limit, which does not depend on Python's timing."""
        with self._faults():
            state = self._state()
            check_mode(_mode(state))
            torques, forces = [COLLISION_TORQUE] * 7, [min(max_force, COLLISION_FORCE)] * 3 + [COLLISION_TORQUE] * 3
            self._connected.set_collision_behavior_simple(torques, torques, forces, forces)
            self._tool, self._max_force = rigid(state.F_T_EE), max_force
            self._motion = begin()

    def _lead(self, target: np.ndarray) -> None:
        with self._faults():
            try:
                self._motion.move_to(target)
            except self._franka.FrankaError:
                self.check()  # most likely the motion has just ended, and check() has the cause
                raise

    def _check_force(self, state: Any) -> None:
        force = float(np.linalg.norm(state.O_F_ext_hat_K[:3]))
        if force > self._max_force:
            raise ForceExceeded(f"The external force is {force:.1f} N.", "max_force", force)

    def _state(self) -> Any:
        """franka-rs's newest state."""
        motion = self._motion
        if motion is not None:
            return motion.state()
        self._connected.read_once()  # an old state that was queued since the last call
        return self._connected.read_once()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Translate franka-rs's exceptions into faults."""
        try:
            yield
        except (ArmFault, UserError):
            raise
        except self._franka.FrankaError as error:
            raise _fault(error, self._host) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ArmFault(f"The robot refused ({error}).") from error


def _mode(state: Any) -> str:
    mode: str = state.robot_mode
    return MODES.get(mode, mode)


def _target(pose: np.ndarray) -> np.ndarray:
    """A pose [4, 4] as position and quaternion [7], (x, y, z, qx, qy, qz, qw)."""
    return np.concatenate([pose[:3, 3], Rotation.from_matrix(pose[:3, :3]).as_quat()])


def _fault(error: Any, host: str) -> ArmFault | UserError:
    """The fault for a ``franka.FrankaError``."""
    text, kind = str(error), error.kind
    if kind == "incompatible_version":
        return UserError(f"The robot at {host} speaks neither version 5 nor 10 of the protocol ({text}).")
    if kind == "network":
        return ConnectionLost(f"The connection to {host} is lost ({text}).")
    if "safety function" in text or "User stopped" in text:
        return UserStopped(f"The robot is stopped by its button or enabling device ({text}).")
    if kind in ("control", "command"):
        return Reflex(f"The robot has stopped itself ({text}).")
    return ArmFault(f"The robot refused ({text}).")


def _import_franka() -> Any:
    try:
        import franka
    except ImportError as error:
        raise UserError(
            f'The driver franka-rs is not installed ({error}): pip install "vjepa-sim[franka-rs]"'
        ) from error
    return franka
