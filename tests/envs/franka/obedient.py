"""A robot for tests that need none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vjepa_sim.envs.arms.panda import HOME_JOINTS, flange_poses
from vjepa_sim.envs.pose import euler_to_matrix
from vjepa_sim.envs.robot import RobotState


def flange_matrix(joints):
    """[4, 4]."""
    (state,) = flange_poses(np.asarray(joints)[None])
    matrix = np.eye(4)
    matrix[:3, 3], matrix[:3, :3] = state[:3], euler_to_matrix(state[3:])
    return matrix


class Obedient:
    """A driver whose arm is where its reference is, a hundredth of a second later with every look."""

    description = "obedient"

    def __init__(self, joints=HOME_JOINTS):
        self.state = RobotState(
            clock=0.0,
            pose=flange_matrix(joints),
            joints=np.array(joints),
            force=np.zeros(3),
            mode="Move",
            link_quality=1.0,
        )
        self.moving = self.closed = self.stuck = False
        self.step = 0.01
        self.speeds = []
        self.reported = {}  # instead of what is so

    def read(self):
        self.state = replace(self.state, clock=self.state.clock + self.step)
        return replace(self.state, **self.reported)

    def start(self, max_force):
        self.moving = True

    start_joints = start

    def follow(self, pose):
        if not self.stuck:
            self.state = replace(self.state, pose=pose)

    def follow_joints(self, joints, speeds):
        self.state = replace(self.state, joints=joints, pose=flange_matrix(joints))
        self.speeds.append(speeds)

    def check(self):
        pass

    def stop(self):
        self.moving = False

    def close(self):
        self.stop()
        self.closed = True
