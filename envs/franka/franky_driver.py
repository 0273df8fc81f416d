"""A Franka arm through franky-control, over libfranka's own protocol."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
    MOVING,
    check_joints,
    check_mode,
    check_pose,
    needs_in,
    rigid,
)
from vjepa_sim.envs.franka.newest import Newest
from vjepa_sim.envs.robot import RobotState

STIFFNESS, TURNING_STIFFNESS = 600.0, 50.0  # N/m and Nm/rad
# kg, apparent mass at the flange. franky's own damping is critical for 1 kg, and the arm overshoots by 9 mm.
APPARENT_MASS = 4.0
# Nm/rad and Nms/rad. Dry friction leaves a joint error of 5 mrad.
JOINT_STIFFNESS = np.array([300.0, 300.0, 300.0, 300.0, 150.0, 100.0, 50.0])
JOINT_DAMPING = np.array([35.0, 35.0, 35.0, 35.0, 20.0, 15.0, 10.0])
START_TIMEOUT, STOP_TIMEOUT = 3.0, 3.0  # s
POLL_PAUSE = 0.005  # s
# Reinstalled, and from this index only: the packages for other robots have the same name and version.
OLD_ROBOT = (
    "pip install --force-reinstall --no-deps "
    '--index-url "https://timschneider42.github.io/franky/whl/by-robot-server-version/{}/" franky-control'
)


class FrankyDriver(Connected):
    """See :class:`.Driver`."""

    def __init__(self, host: str):
        """
        Args:
            host: address of the robot's control box.

        Raises:
            UserError: franky is not installed, or is built for another version of the robot's system.
            ArmFault: the robot can't be reached, is stopped, or is held by another client.
        """
        self._franky = _import_franky()
        self.description = f"franky-control {version('franky-control')}"
        self._host = host
        self._motion: Any = None
        self._states: Newest[Any] | None = None  # franky's states during a motion
        self._pushes: list[float] = []  # newtons; filled from franky's own thread
        self._tool = np.eye(4)
        self._robot = self._connect()
        with self._faults():
            self._robot.set_collision_behavior(COLLISION_TORQUE, COLLISION_FORCE)
        self._connection = Connection(host)

    def read(self) -> RobotState:
        """The newest state; during a motion the last copy, without waiting."""
        states = self._states
        with self._faults():
            state = self._connected.state if states is None else states.get()
            return RobotState(
                clock=state.time.to_msec() / 1000,
                pose=rigid(state.O_T_EE.matrix) @ np.linalg.inv(rigid(state.F_T_EE.matrix)),
                joints=np.array(state.q),
                force=np.array(state.O_F_ext_hat_K[:3]),
                mode=state.robot_mode.name,
                needs=needs_in(state.robot_mode.name),
                link_quality=float(state.control_command_success_rate),
                errors=_names(state.current_errors),
            )

    def start(self, max_force: float) -> None:
        """Hold the present pose with a compliant Cartesian impedance."""
        with self._faults():
            motion = self._franky.CartesianImpedanceTrackingMotion(
                translational_stiffness=STIFFNESS, rotational_stiffness=TURNING_STIFFNESS
            )
            gains = motion.get_gains()
            damping = 2 * np.sqrt(STIFFNESS * APPARENT_MASS), 2 * np.sqrt(TURNING_STIFFNESS)
            gains.damping = np.diag(np.repeat(damping, 3))
            motion.set_gains(gains)
            state = self._connected.state
            self._tool = rigid(state.F_T_EE.matrix)
            motion.set_reference(self._reference(rigid(state.O_T_EE.matrix)))
        self._begin(motion, max_force)

    def follow(self, pose: np.ndarray) -> None:
        """Move the reference to a flange pose [4, 4]."""
        check_pose(pose)
        with self._faults():
            self._motion.set_reference(self._reference(pose @ self._tool))

    def start_joints(self, max_force: float) -> None:
        """Hold the present joints with a joint impedance; streamed positions would need a real-time computer."""
        with self._faults():
            motion = self._franky.JointImpedanceTrackingMotion(stiffness=JOINT_STIFFNESS, damping=JOINT_DAMPING)
            motion.set_reference(self._franky.JointReference(q=self._connected.state.q))
        self._begin(motion, max_force)

    def follow_joints(self, joints: np.ndarray, speeds: np.ndarray) -> None:
        """Move the reference to joints [7], rad, with speeds [7], rad/s."""
        check_joints(joints, speeds)
        with self._faults():
            self._motion.set_reference(self._franky.JointReference(q=joints, dq=speeds))

    def check(self) -> None:
        """Raise the fault that has ended the motion, if any."""
        states = self._states
        if states is None:
            return
        if self._pushes:  # without waiting until the arm is at rest
            force = self._pushes[0]
            raise ForceExceeded(f"The robot's own loop ended the motion at {force:.1f} N.", "max_force", force)
        states.get()
        if self._connection.lost:
            raise ConnectionLost(f"The robot at {self._host} has closed the connection.")

    def stop(self) -> None:
        """Bring the arm to rest and end the motion."""
        if self._motion is None:
            return
        states, self._states, self._motion = self._states, None, None
        if states is not None:
            states.end()
        rests = False
        with suppress(Exception):  # after any failure, the remaining ways to stop are still tried
            rests = self._come_to_rest()
        if not rests:
            with suppress(Exception):
                self._connected.stop()
        if states is not None:
            states.join(STOP_TIMEOUT)  # its thread uses the robot

    def close(self) -> None:
        """Bring the arm to rest and disconnect."""
        self.stop()
        self._connection.close()
        self._robot = None

    def _come_to_rest(self) -> bool:
        robot = self._connected
        if not robot.is_in_control:
            return True
        robot.move(self._franky.TorqueStopMotion(), asynchronous=True)
        return robot.join_motion(STOP_TIMEOUT)

    def _begin(self, motion: Any, max_force: float) -> None:
        """Start a motion that ends when the external force exceeds ``max_force``."""
        franky = self._franky
        check_mode(self.read().mode)
        pushes: list[float] = []
        try:
            with self._faults():
                # Checked in the robot's own loop at 1 kHz, which does not depend on Python's timing.
                x, y, z = (getattr(franky.Measure, f"FORCE_{axis}") for axis in "XYZ")
                pushed = x * x + y * y + z * z > max_force**2
                reaction = franky.TorqueReaction(pushed, franky.TorqueStopMotion())
                reaction.register_callback(lambda state, *times: pushes.append(_size(state.O_F_ext_hat_K[:3])))
                motion.add_reaction(reaction)
                self._motion, self._pushes = motion, pushes
                self._connected.move(motion, asynchronous=True)
                self._states = Newest(self._poll, POLL_PAUSE)
            self._wait_for_control()
        except BaseException:
            self.stop()
            raise

    def _poll(self) -> Any:
        """franky's state. While the robot is silent this blocks for up to a second, as do all of franky's calls."""
        with self._faults():
            ended = self._connected.poll_motion()
            state = self._connected.state
        if ended:
            check_mode(state.robot_mode.name)
            raise ArmFault("The motion has ended without an error.")
        return state

    def _wait_for_control(self) -> None:
        """Wait until the motion runs; franky itself would wait without limit for a silent robot."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.read().mode != MOVING:
            self.check()
            if time.monotonic() > deadline:
                raise ConnectionLost(f"The robot has not started the motion within {START_TIMEOUT:g} s.")
            time.sleep(0.005)

    def _reference(self, tool_pose: np.ndarray) -> Any:
        position, rotation = tool_pose[:3, 3], Rotation.from_matrix(tool_pose[:3, :3]).as_quat()
        return self._franky.CartesianReference(target=self._franky.Affine(position, rotation))

    # --- connecting -------------------------------------------------------------------------------------------

    def _connect(self) -> Any:
        franky, host = self._franky, self._host
        with self._faults():
            try:
                return connect_in_time(lambda: franky.Robot(host, realtime_config=franky.RealtimeConfig.Ignore), host)
            except franky.IncompatibleVersionException as error:
                raise UserError(_version_text(str(error), host)) from error
            except franky.NetworkException as error:
                raise ConnectionLost(f"The robot at {host} can't be reached ({error}).") from error

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Translate franky's exceptions into faults."""
        franky = self._franky
        try:
            yield
        except (ArmFault, UserError):
            raise
        except franky.NetworkException as error:
            raise ConnectionLost(f"The connection to {self._host} is lost ({error}).") from error
        except (franky.ControlException, franky.CommandException) as error:
            raise _stopped(str(error)) from error
        except (RuntimeError, ValueError, TypeError) as error:
            if "Net Exception" in str(error):
                raise ConnectionLost(f"The connection to {self._host} is lost ({error}).") from error
            raise ArmFault(f"The robot refused ({error}).") from error


def _names(errors: Any) -> tuple[str, ...]:
    """Names of libfranka's errors that are set."""
    return tuple(name for name in dir(errors) if getattr(errors, name) is True)


def _size(vector: Any) -> float:
    return float(np.linalg.norm(vector))


def _stopped(text: str) -> ArmFault:
    if "safety function" in text or "User stopped" in text:
        return UserStopped(f"The robot is stopped by its button or enabling device ({text}).")
    if "Net Exception" in text or "TCP" in text or "UDP" in text:
        return ConnectionLost(f"The connection is lost ({text}).")
    return Reflex(f"The robot has stopped itself ({text}).")


def _version_text(text: str, host: str) -> str:
    version = text.partition("server version: ")[2].partition(",")[0] or "?"
    return (
        f"The robot at {host} speaks version {version} of the protocol, the installed franky-control another one "
        f"({text}). For a Panda (version 5) and other older systems: {OLD_ROBOT.format(version)}; "
        'or, for version 5, the driver franka-rs: pip install "vjepa-sim[franka-rs]"'
    )


def _import_franky() -> Any:
    try:
        import franky
    except ImportError as error:
        raise UserError(
            f'A real arm needs franky-control, which is not installed ({error}): pip install "vjepa-sim[franka]"'
        ) from error
    return franky
