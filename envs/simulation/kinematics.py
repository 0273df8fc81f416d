"""Inverse kinematics of the arm: damped least squares (Wampler, 1986) on MuJoCo's Jacobians."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.arms import ArmSpec
from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.scene.names import FLANGE_SITE

JOINT_MARGIN = 0.05  # rad from the joint limits; more than the safety envelope requires


class Kinematics:
    """Forward and inverse kinematics on a private copy of the joint positions."""

    def __init__(self, model: mujoco.MjModel, arm: ArmSpec):
        self._model = model
        self._data = mujoco.MjData(model)
        self._site = model.site(FLANGE_SITE).id
        joints = [model.joint(name) for name in arm.joints]
        self._qpos = np.array([int(joint.qposadr[0]) for joint in joints])
        self._dof = np.array([int(joint.dofadr[0]) for joint in joints])
        self._low, self._high = arm.joints_low + JOINT_MARGIN, arm.joints_high - JOINT_MARGIN
        self._home = arm.home

    def forward(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flange position [3] in metres and rotation matrix [3, 3] at ``joints`` [J] in radians."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.site_xpos[self._site].copy(), self._data.site_xmat[self._site].reshape(3, 3).copy()

    def inverse(self, position: np.ndarray, matrix: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Joints [J] for a flange pose, found from ``start``; for an unreachable pose, the closest that were found.

        Always within the joint limits. An unreachable pose raises no error: compare with :meth:`forward`.

        Args:
            position: flange position [3], metres.
            matrix: flange rotation matrix [3, 3].
            start: joints [J] from which the search starts, radians.
        """
        joints = np.clip(start, self._low, self._high)
        best, best_error = joints, np.inf
        jacobian = np.zeros((6, self._model.nv))
        target_quaternion, quaternion, conjugate, turn = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
        mujoco.mju_mat2Quat(target_quaternion, np.ascontiguousarray(matrix).ravel())
        error = np.empty(6)
        for _ in range(30):
            here, here_matrix = self.forward(joints)
            error[:3] = position - here
            mujoco.mju_mat2Quat(quaternion, here_matrix.ravel())
            mujoco.mju_negQuat(conjugate, quaternion)
            mujoco.mju_mulQuat(turn, target_quaternion, conjugate)
            mujoco.mju_quat2Vel(error[3:], turn, 1.0)
            size = np.linalg.norm(error[:3]) + 0.1 * np.linalg.norm(error[3:])
            if size < best_error:
                best, best_error = joints, size
            if size < 2e-5:
                break
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], self._site)
            arm = jacobian[:, self._dof]
            inverse = arm.T @ np.linalg.inv(arm @ arm.T + 1e-5 * np.eye(6))
            # In the null space, the joints move slowly to the home posture, so that the elbow stays in place.
            posture = 0.02 * (self._home - joints)
            change = inverse @ error + posture - inverse @ (arm @ posture)
            joints = np.clip(joints + np.clip(change, -0.3, 0.3), self._low, self._high)
        return best
