"""The simulated arm behind the :class:`.Arm` contract."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.leash import GRIPPER_DEADBAND, gripper_target, leashed
from vjepa_sim.envs.observation import Observation, check_action
from vjepa_sim.envs.simulation.renderer import Renderer
from vjepa_sim.envs.simulation.simulation import Simulation
from vjepa_sim.envs.status import ArmStatus


class SimArm:
    """An arm whose actions move a commanded pose, as on the real arm, so that servo errors do not add up."""

    def __init__(self, simulation: Simulation, renderer: Renderer):
        self.simulation = simulation
        self.period = simulation.period
        self.renderer = renderer
        self._check: Callable[[ArmStatus], None] = lambda status: None

    @property
    def target(self) -> np.ndarray:
        """The state [7] that the next command is relative to: the last target, its lead over the measured limited."""
        return leashed(self.simulation.target, self.simulation.state().astype(np.float64))

    def watch(self, check: Callable[[ArmStatus], None]) -> None:
        """Call ``check`` after every command; it raises an :class:`.ArmFault` if the arm must stop."""
        self._check = check

    def status(self) -> ArmStatus:
        """Status of the arm; the ages of clock and camera are 0."""
        simulation = self.simulation
        return ArmStatus(
            state=simulation.state().astype(np.float64),
            target=simulation.target.copy(),
            joints=simulation.joints(),
            joints_low=simulation.arm.joints_low,
            joints_high=simulation.arm.joints_high,
        )

    def reset(self) -> Observation:
        """The present observation; the start state of an episode is set by its task."""
        return self.observe()

    def observe(self) -> Observation:
        """An image, the measured state and the time of the physics."""
        return Observation(self.renderer.render(self.simulation.data), self.simulation.state(), self.simulation.time)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Advance the simulation by one period; returns the action [7] that was executed, float64.

        Its last number is the requested change of closedness, 0 within the deadband.
        """
        action = check_action(action)
        commanded = self.simulation.target = self.target
        target = pose.integrate(commanded, action)
        closedness = self.simulation.closedness()
        target[pose.GRIPPER] = gripper_target(commanded[pose.GRIPPER], closedness, action[pose.GRIPPER])
        self.simulation.advance(target)
        self._check(self.status())
        sent = pose.difference(commanded, self.simulation.target)
        sent[pose.GRIPPER] = 0.0 if abs(action[pose.GRIPPER]) < GRIPPER_DEADBAND else action[pose.GRIPPER]
        return sent

    def close(self) -> None:
        """Free the renderer."""
        self.renderer.close()
