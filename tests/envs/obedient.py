"""A robot for tests that need none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.franka.driver import RobotState
from envs.panda import HOME_JOINTS


class Obedient:
    """A driver whose arm is where its reference is, a hundredth of a second later with every look."""

    description = "obedient"

    def __init__(self, joints=HOME_JOINTS):
        self.state = RobotState(0.0, np.eye(4), np.array(joints), np.zeros(3), "Move", 1.0)
        self.moving = False
        self.step = 0.01
        self.speeds = []

    def read(self):
        self.state = replace(self.state, clock=self.state.clock + self.step)
        return self.state

    def start(self, max_force):
        self.moving = True

    start_joints = start

    def follow(self, pose):
        self.state = replace(self.state, pose=pose)

    def follow_joints(self, joints, speeds):
        self.state = replace(self.state, joints=joints)
        self.speeds.append(speeds)

    def check(self):
        pass

    def stop(self):
        self.moving = False

    def close(self):
        self.stop()
