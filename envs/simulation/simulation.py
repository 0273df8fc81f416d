"""Physics of one scene, stepped at the control period, with snapshots that restore it bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS, GripperSpec
from vjepa_sim.envs.grippers.gripper_spec import PREFIX
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.scene.build import load_model
from vjepa_sim.envs.scene.names import FLANGE_SITE, OBJECT_BODY, OBJECT_JOINT
from vjepa_sim.envs.simulation.kinematics import Kinematics

PERIOD = 0.25  # s between two observations, by default
PERIODS = (0.05, 5.0)  # s: the servo follows at the shortest; the longest is far above that of any model
CONTROL_UPDATES = 10  # servo references are set this many times a period
RAMP = 0.8  # share of the period in which the servo reference moves
SHARES = (1.0, 0.75, 0.5, 0.25)  # shares of the way to a target that are tried, in this order
POSITION_TOLERANCE = 1e-3  # m, largest error of inverse kinematics
ROTATION_TOLERANCE = 0.01  # rad
GRIPPER_RATE = 3.0  # closedness per second, about the 2F-85's full speed


@dataclass(frozen=True)
class Snapshot:
    """State of a :class:`Simulation`, from which it continues bit for bit."""

    physics: np.ndarray
    joint_reference: np.ndarray
    gripper_reference: float
    target: np.ndarray


class Simulation:
    """MuJoCo physics of one scene, the servo that follows pose targets, and the privileged state of the object.

    Attributes:
        period: control period, seconds from one observation to the next.
        arm, gripper, object: specifications of its parts.
        object_half_height: distance from the object's centre to its lowest point when it stands upright, metres.
        model, data: MuJoCo's model and data, also for viewers and Gymnasium's checks.
        target: commanded state, float64 [7], see :mod:`vjepa_sim.envs.pose`.
        actuators: called before each physics step of :meth:`advance` with the controls [J + 1]; returns the effective
            ones. None: the controls take effect as they are.
    """

    def __init__(self, gripper: str = "robotiq", object_name: str = "cup", period: float = PERIOD, arm: str = "panda"):
        """
        Args:
            gripper: name of one of :data:`.GRIPPERS`.
            object_name: name of one of :data:`.OBJECTS`.
            period: control period, seconds from one observation to the next.
            arm: name of one of :data:`.ARMS`.

        Raises:
            UserError: a name is unknown, or the period is out of range.
        """
        if not isinstance(period, (int, float, np.number)) or not PERIODS[0] <= period <= PERIODS[1]:
            raise UserError(f"period={period!r}: expected seconds between {PERIODS[0]} and {PERIODS[1]}.")
        self.period = float(period)
        self.arm, self.gripper, self.object = ARMS[arm], GRIPPERS[gripper], OBJECTS[object_name]
        self.object_half_height = self.object.half_height
        self.model = load_model(self.arm, self.gripper, self.object)
        # The time between two updates of the servo is a whole number of physics steps, none longer than the scene's.
        interval = self.period / CONTROL_UPDATES
        self._substeps = math.ceil(interval / self.model.opt.timestep - 1e-9)
        self.model.opt.timestep = interval / self._substeps
        self.data = mujoco.MjData(self.model)
        self.kinematics = Kinematics(self.model, self.arm)
        self._flange = self.model.site(FLANGE_SITE).id
        joints = [self.model.joint(name) for name in self.arm.joints]
        self._arm_qpos = np.array([int(joint.qposadr[0]) for joint in joints])
        self._object_body = self.model.body(OBJECT_BODY).id
        self._object_qpos = int(self.model.joint(OBJECT_JOINT).qposadr[0])
        self._object_dof = int(self.model.joint(OBJECT_JOINT).dofadr[0])
        self._fingers = _finger_joints(self.model, self.gripper)
        self._finger_geoms = _finger_geoms(self.model, self.gripper)
        self._object_geoms = frozenset(np.flatnonzero(self.model.geom_bodyid == self._object_body).tolist())
        self._joint_reference = self.home_joints.copy()
        self._gripper_reference = 0.0
        self.target = np.zeros(pose.STATE_DIM)
        self.actuators: Callable[[np.ndarray], np.ndarray] | None = None
        self.reset()

    @property
    def home_joints(self) -> np.ndarray:
        """Joints [J], radians, at which the flange points down and the fingers open along the base frame's y axis."""
        return self.arm.home_joints(self.gripper.mount_yaw)

    # --- reading ----------------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds of physics since the last reset."""
        return float(self.data.time)

    def state(self) -> np.ndarray:
        """Measured state, float32 [7], see :mod:`vjepa_sim.envs.pose`."""
        state = np.empty(pose.STATE_DIM, np.float32)
        state[pose.POSITION] = self.data.site_xpos[self._flange]
        state[pose.ROTATION] = pose.matrix_to_euler(self.data.site_xmat[self._flange].reshape(3, 3))
        state[pose.GRIPPER] = self.closedness()
        return state

    def joints(self) -> np.ndarray:
        """Measured joint positions [J] in radians."""
        return self.data.qpos[self._arm_qpos].copy()

    def closedness(self) -> float:
        """Measured closedness of the gripper, 0 open to 1 closed, from the driven finger joint."""
        travel = self.data.qpos[self._fingers[0].address]
        return float(
            np.clip((travel - self._fingers[0].open) / (self._fingers[0].closed - self._fingers[0].open), 0, 1)
        )

    def object_position(self) -> np.ndarray:
        """Centre of the object [3] in metres, base frame."""
        return self.data.xpos[self._object_body].copy()

    def object_matrix(self) -> np.ndarray:
        """Rotation matrix [3, 3] of the object, base frame."""
        return self.data.xmat[self._object_body].reshape(3, 3).copy()

    def object_speed(self) -> float:
        """Linear speed of the object, metres per second."""
        return float(np.linalg.norm(self.data.qvel[self._object_dof : self._object_dof + 3]))

    def fingers_touching(self) -> int:
        """Number of fingers that touch the object: 0, 1 or 2."""
        touching = set()
        for first, second in self.data.contact.geom:
            if first in self._object_geoms:
                first, second = second, first
            if second in self._object_geoms and first in self._finger_geoms:
                touching.add(self._finger_geoms[first])
        return len(touching)

    # --- setting ----------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Put the arm at home with open fingers and the object upright in the middle of the table, all at rest."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._object_qpos : self._object_qpos + 7] = [0.45, 0, self.object_half_height, 1, 0, 0, 0]
        self.place_arm(self.home_joints, closedness=0.0)

    def place_arm(self, joints: np.ndarray, closedness: float) -> None:
        """Set the joints [J], radians, and the closedness at once, at rest, and hold them there."""
        self.data.qpos[self._arm_qpos] = joints
        for finger in self._fingers:
            self.data.qpos[finger.address] = finger.open + closedness * (finger.closed - finger.open)
        self.data.qvel[:] = 0
        self._joint_reference = np.array(joints, np.float64)
        self._gripper_reference = float(closedness)
        self._set_controls(self._joint_reference)
        self._refresh()
        self.target = self.state().astype(np.float64)
        self.target[pose.GRIPPER] = closedness

    def place_flange(self, state: np.ndarray) -> None:
        """:meth:`place_arm` at a flange pose and closedness [7], reached from the home posture."""
        joints = self.kinematics.inverse(
            state[pose.POSITION], pose.euler_to_matrix(state[pose.ROTATION]), self.home_joints
        )
        self.place_arm(joints, float(state[pose.GRIPPER]))

    def place_object(self, position: np.ndarray, yaw: float) -> None:
        """Put the object upright, its centre at ``position`` [3] (metres), rotated by ``yaw`` (radians), at rest."""
        start = self._object_qpos
        self.data.qpos[start : start + 3] = position
        self.data.qpos[start + 3 : start + 7] = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
        self.data.qvel[self._object_dof : self._object_dof + 6] = 0
        self._refresh()

    # --- moving -----------------------------------------------------------------------------------------------

    def advance(self, target: np.ndarray) -> None:
        """Move toward a state [7] (absolute, see :mod:`vjepa_sim.envs.pose`) for one control period.

        A pose that the arm can't reach is approached along a straight line from :attr:`target` as far as possible;
        :attr:`target` is then the pose that was reached.
        """
        start = self._joint_reference
        goal, reached = self._reachable(target, start)
        self.target = np.concatenate([reached, [np.clip(target[pose.GRIPPER], 0, 1)]])

        interval = self.period / CONTROL_UPDATES
        for i in range(CONTROL_UPDATES):
            phase = min((i + 1) / CONTROL_UPDATES / RAMP, 1.0)
            ramp = phase * phase * (3 - 2 * phase)
            rate = 6 * phase * (1 - phase) / (RAMP * self.period)
            velocity = rate * (goal - start)
            reach = GRIPPER_RATE * interval
            self._gripper_reference += float(
                np.clip(self.target[pose.GRIPPER] - self._gripper_reference, -reach, reach)
            )
            # Velocity feed-forward cancels the servo's damping of the reference motion.
            self._set_controls(start + ramp * (goal - start) + self.arm.damping / self.arm.stiffness * velocity)
            self._step()
        self._joint_reference = goal
        self._refresh()

    def follow(self, joints: np.ndarray, closedness: float, seconds: float) -> None:
        """Let the servos follow another arm's joints [J], radians, and closedness for some seconds of physics."""
        self._joint_reference, self._gripper_reference = np.array(joints, np.float64), float(closedness)
        self._set_controls(self._joint_reference)
        mujoco.mj_step(self.model, self.data, nstep=max(1, round(seconds / self.model.opt.timestep)))
        self._refresh()
        self.target = self.state().astype(np.float64)

    def _reachable(self, target: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints [J] for the pose [6] farthest on the way to a target that the arm can reach, and that pose."""
        way = pose.difference(self.target, target)
        for share in SHARES:
            aim = target if share == 1 else pose.integrate(self.target, share * way)
            matrix = pose.euler_to_matrix(aim[pose.ROTATION])
            joints = self.kinematics.inverse(aim[pose.POSITION], matrix, start)
            position, reached = self.kinematics.forward(joints)
            cosine = (np.trace(reached.T @ matrix) - 1) / 2
            missed = np.linalg.norm(position - aim[pose.POSITION])
            if missed < POSITION_TOLERANCE and cosine > np.cos(ROTATION_TOLERANCE):
                return joints, np.concatenate([position, pose.matrix_to_euler(reached)])
        return start, self.target[:6].copy()

    def _step(self) -> None:
        """Advance the physics to the next update of the servo."""
        if self.actuators is None:
            mujoco.mj_step(self.model, self.data, nstep=self._substeps)
            return
        controls = self.data.ctrl.copy()
        for _ in range(self._substeps):
            self.data.ctrl[:] = self.actuators(controls)
            mujoco.mj_step(self.model, self.data)

    def _set_controls(self, joints: np.ndarray) -> None:
        self.data.ctrl[:-1] = joints
        self.data.ctrl[-1] = self._gripper_reference

    def _refresh(self) -> None:
        """Update poses and contacts to the joint positions, without an effect on the physics."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)

    # --- saving -----------------------------------------------------------------------------------------------

    def save(self) -> Snapshot:
        """Snapshot of physics and servo."""
        physics = np.empty(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self.model, self.data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        return Snapshot(physics, self._joint_reference.copy(), self._gripper_reference, self.target.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of the same scene; what follows is bit-identical."""
        mujoco.mj_setState(self.model, self.data, snapshot.physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._joint_reference = snapshot.joint_reference.copy()
        self._gripper_reference = snapshot.gripper_reference
        self.target = snapshot.target.copy()
        self._refresh()


@dataclass(frozen=True)
class _FingerJoint:
    """Index of a finger joint in qpos, and its position when the gripper is open and closed."""

    address: int
    open: float
    closed: float


def _finger_joints(model: mujoco.MjModel, gripper: GripperSpec) -> list[_FingerJoint]:
    """The finger joints, the driven one first."""
    return [_FingerJoint(int(model.joint(PREFIX + name).qposadr[0]), *ends) for name, ends in gripper.fingers.items()]


def _finger_geoms(model: mujoco.MjModel, gripper: GripperSpec) -> dict[int, str]:
    """Finger (``left`` or ``right``) of each colliding geom of the fingers, by geom id."""
    fingers = {}
    for geom in np.flatnonzero(model.geom_contype):
        name = model.body(model.geom_bodyid[geom]).name
        side = gripper.finger_side(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        if side is not None:
            fingers[int(geom)] = side
    return fingers
