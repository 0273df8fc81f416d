"""franka-sim's arm and server with our model and with faults on demand; imported only in the loopback robot's process.

franka-sim is pinned, because methods outside of its public interface are overridden here.
"""

from __future__ import annotations

import socket
from pathlib import Path

import franka_sim.mujoco_franka_sim as physics
import mujoco
import numpy as np
from franka_sim import FrankaSimServer
from franka_sim.control_modes import ControlMode
from franka_sim.franka_protocol import MessageHeader, MoveStatus, SetCollisionBehaviorCommand
from franka_sim.robot_state import RobotState
from franka_sim.server.constants import RobotMode

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.loopback.model import FLANGE_BODY, arm_model

# Flange to fingertips, as in Desk: rounded to four digits, so that it is not an exact rotation.
HAND_TOOL = np.array([[0.7071, 0.7071, 0, 0], [-0.7071, 0.7071, 0, 0], [0, 0, 1, 0.1034], [0, 0, 0, 1]])
COLLISION = 7  # libfranka's number of cartesian_reflex
IDLE_GENERATOR, OTHER_CONTROLLER = 0, 3  # libfranka's modes of a robot that no program moves


class SimulatedArm(physics.MujocoFrankaSim):
    """The arm's physics, with 1000 steps per second if the machine is fast enough."""

    data: mujoco.MjData  # set by the base class

    def __init__(self, joints: np.ndarray):
        """
        Args:
            joints: start posture [7], radians.
        """
        physics.ARM_INITIAL_Q = np.array(joints, float)  # read by the base class only
        physics.build_model = _build_model
        physics.default_fr3_mjcf = lambda: Path("bundled")  # the original downloads a model
        super().__init__(enable_vis=False)

    def flange(self) -> np.ndarray:
        """Flange pose [4, 4] in the base frame, metres, at the newest state."""
        return self._flange

    def _read_and_publish_state(self) -> None:
        super()._read_and_publish_state()
        flange = np.eye(4)  # a new array: other threads read the old one
        flange[:3, :3] = self.data.xmat[self.ee_body_id].reshape(3, 3)
        flange[:3, 3] = self.data.xpos[self.ee_body_id]
        self._flange = flange

    def _configure_model(self) -> None:
        """Empty: the base class adds gravity compensation, and our model has no gravity."""

    def _bind_model(self) -> None:
        super()._bind_model()
        self.ee_body_id = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, FLANGE_BODY)


class FaultyRobot(FrankaSimServer):
    """The robot's control box. Stop button and external force outlast a connection, as on the real one."""

    def __init__(self, host: str, arm: SimulatedArm, hand: bool):
        """
        Args:
            host: address to listen on.
            arm: physics of the arm.
            hand: whether it has a Franka Hand; the tool frame is then at its fingertips.
        """
        self.user_stopped = False
        self.force = np.zeros(3)
        self._force_threshold = np.full(3, np.inf)
        self._tool = HAND_TOOL if hand else np.eye(4)
        super().__init__(host=host, physics_sim=arm, enable_gripper=hand)

    @property
    def enforce_motion_limits(self) -> bool:
        """Whether a command that exceeds a limit stops the arm: True in torque control.

        False for streams of positions: a machine without real time loses so many of them that the robot would stop at
        jumps that the client did not command.
        """
        return self.control_mode is ControlMode.TORQUE

    @enforce_motion_limits.setter
    def enforce_motion_limits(self, enforce: bool) -> None:
        """Ignored: the base class sets it once for all modes."""

    def reset_state(self) -> None:
        """Called for each new connection."""
        super().reset_state()
        self.robot_state = _State(self)
        self._refresh_ee_transform()

    def _refresh_ee_transform(self) -> None:
        # In every call: a tool frame missing for a moment would shift the pose that a client reads by ten centimetres.
        self.robot_state.state["F_T_NE"] = self._tool.T.ravel().tolist()
        super()._refresh_ee_transform()

    def stop_by_user(self, stopped: bool) -> None:
        """Press or release the stop button."""
        with self._motion_lock:
            self.user_stopped = stopped
            state = self.robot_state.state
            state["robot_mode"] = RobotMode.kIdle  # see _State for the mode while stopped
            if not stopped:
                return
            state["motion_generator_mode"], state["controller_mode"] = IDLE_GENERATOR, OTHER_CONTROLLER
            self._engage_idle_hold("user stop")
            if self.current_motion_id:
                status = MoveStatus.kPreemptedDueToActivatedSafetyFunctions
                self._pending_move_response = (self.current_motion_id, status, self._states_packed)
                self.current_motion_id = 0

    def push(self, force: np.ndarray) -> None:
        """Report an external force [3], newtons, base frame, from now on; stop the arm above the client's threshold."""
        self.force = force
        if self.current_motion_id and np.any(np.abs(force) > self._force_threshold):
            self.reflex(COLLISION)

    def reflex(self, code: int) -> None:
        """Stop the arm with the number of an error in libfranka's list."""
        self._abort_with_error(code, "ordered")

    def drop_tcp(self) -> None:
        """Close the command connection; a client may connect again."""
        if self.client_socket is None:
            raise UserError("No client is connected to the loopback robot.")
        self.client_socket.shutdown(socket.SHUT_RDWR)

    def handle_set_collision_behavior_command(self, client_socket, header: MessageHeader, payload: bytes) -> None:
        """Keep the thresholds, which franka-sim only acknowledges."""
        self._force_threshold = np.array(
            SetCollisionBehaviorCommand.from_bytes(payload).upper_force_thresholds_nominal[:3]
        )
        super().handle_set_collision_behavior_command(client_socket, header, payload)

    def _refuse_move_while_latched(self, client_socket, header: MessageHeader) -> bool:
        if self.user_stopped:
            self.send_move_response(client_socket, header.command_id, MoveStatus.kCommandNotPossibleRejected)
            return True
        return super()._refuse_move_while_latched(client_socket, header)


class _State(RobotState):
    """The robot state with the fields of the stop button and the external force set in every packet."""

    def __init__(self, robot: FaultyRobot):
        super().__init__()
        self._robot = robot

    def pack_state(self) -> bytes:
        if self._robot.user_stopped:
            self.state["robot_mode"] = RobotMode.kUserStopped
        self.state["O_F_ext_hat_K"] = [*self._robot.force, 0.0, 0.0, 0.0]
        return super().pack_state()


def _build_model(enable_hand: bool = False, dt: float = 1e-3, model_path: object = None) -> tuple[mujoco.MjModel, str]:
    """Replaces franka-sim's function; the second value is the prefix of the joints' names."""
    return arm_model(FrankaSimServer.DEFAULT_ARM_URDF, dt), ""
