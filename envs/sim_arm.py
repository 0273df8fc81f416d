"""The simulated Franka behind the :class:`envs.arm.Arm` contract."""

from __future__ import annotations

import numpy as np

from envs import pose
from envs.camera import Camera
from envs.observation import Observation, check_action
from envs.simulation import Simulation

LEASH = 0.06  # m: the commanded pose never runs further ahead of the measured one
GRIPPER_DEADBAND = 0.1  # closedness: a smaller change leaves the fingers as they are


class SimArm:
    """Deltas move a commanded pose, as on the real arm, so that errors of the servo don't add up."""

    def __init__(self, simulation: Simulation, camera: Camera):
        self.simulation = simulation
        self.period = simulation.period
        self.camera = camera

    @property
    def target(self) -> np.ndarray:
        """The state [7] that the next command starts from: the one last sent, but never far ahead of the measured."""
        commanded = self.simulation.target.copy()
        measured = self.simulation.state().astype(np.float64)
        lead = commanded[pose.POSITION] - measured[pose.POSITION]
        distance = np.linalg.norm(lead)
        if distance > LEASH:
            commanded[pose.POSITION] = measured[pose.POSITION] + lead * (LEASH / distance)
        return commanded

    def reset(self) -> Observation:
        """The episode's start state is the task's to set; here the arm only stops where it is."""
        return self.observe()

    def observe(self) -> Observation:
        """An image, the measured state and the physics clock."""
        return Observation(self.camera.render(self.simulation.data), self.simulation.state(), self.simulation.time)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Advance the world by one period; returns the action that was carried out [7], float64.

        Its last number is the change that was asked of the fingers, 0 within the deadband.
        """
        action = check_action(action)
        commanded = self.simulation.target = self.target
        target = pose.integrate(commanded, action)
        closedness = self.simulation.closedness()
        target[pose.GRIPPER] = gripper_target(commanded[pose.GRIPPER], closedness, action[pose.GRIPPER])
        self.simulation.advance(target)
        sent = pose.difference(commanded, self.simulation.target)
        sent[pose.GRIPPER] = 0.0 if abs(action[pose.GRIPPER]) < GRIPPER_DEADBAND else action[pose.GRIPPER]
        return sent

    def close(self) -> None:
        """Free the renderer."""
        self.camera.close()


def gripper_target(commanded: float, measured: float, change: float) -> float:
    """The closedness to command for a wanted change.

    Fingers that hold something stay short of what they are told. So closing adds to the command (the grip stays
    firm), opening subtracts from where the fingers are (the change is seen at once), and a change within the
    deadband keeps the grip.
    """
    if abs(change) < GRIPPER_DEADBAND:
        return commanded
    if change > 0:
        return min(max(commanded, measured) + change, 1.0)
    return max(min(commanded, measured) + change, 0.0)
