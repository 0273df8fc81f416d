"""What a real rig does less well than the simulator: how late, how noisy, how lazy."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np

from vjepa_sim.envs.errors import UserError

LONGEST = 2.0  # s


@dataclass(frozen=True)
class Imperfections:
    """All zero, they leave the simulator as it is, bit for bit. The defaults are what a decent rig has.

    Attributes:
        camera_latency: seconds from the moment that a picture shows to the moment at which it is there.
        picture_noise: standard deviation of each pixel's colours, grey levels of 255.
        exposure_flicker: standard deviation of each picture's brightness, a share of it.
        position_noise: standard deviation of the measured x, y and z, metres.
        rotation_noise: standard deviation of the measured Euler angles, radians.
        arm_delay: seconds after which the arm begins to follow.
        arm_lag: time constant with which it follows then, seconds: at the end of a step it is still short of its goal.
        gripper_delay: seconds after which the fingers begin to follow.
        seed: of the noise.
    """

    camera_latency: float = 0.1
    picture_noise: float = 3.0
    exposure_flicker: float = 0.02
    position_noise: float = 0.0005
    rotation_noise: float = 0.002
    arm_delay: float = 0.03
    arm_lag: float = 0.06
    gripper_delay: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (np.isfinite(value) and value >= 0):
                raise UserError(f"{field.name}={value}: an imperfection is a number of 0 or more.")
        for name in ("camera_latency", "arm_delay", "arm_lag", "gripper_delay"):
            if getattr(self, name) > LONGEST:
                raise UserError(f"{name}={getattr(self, name)}: expected seconds, at most {LONGEST}.")


class SlowActuators:
    """Motors that begin late and follow with a lag; see :attr:`.Simulation.actuators`."""

    def __init__(self, imperfections: Imperfections, timestep: float, controls: np.ndarray):
        """
        Args:
            imperfections: how slow they are; delays are rounded to whole steps.
            timestep: seconds of a step of physics.
            controls: [J + 1], what they have been told for long: joint references and the gripper's.
        """
        self._arm_delay = round(imperfections.arm_delay / timestep)
        self._gripper_delay = round(imperfections.gripper_delay / timestep)
        lag = imperfections.arm_lag
        self._share = 1 - np.exp(-timestep / lag) if lag > 0 else 1.0  # of the way to its reference, in a step
        longest = 1 + max(self._arm_delay, self._gripper_delay)
        self._told = deque([controls.copy()] * longest, maxlen=longest)
        self._followed = controls.copy()

    def __call__(self, controls: np.ndarray) -> np.ndarray:
        """What the motors do [J + 1] in the coming step of physics, told ``controls`` [J + 1]."""
        self._told.append(controls)
        arm, gripper = self._told[-1 - self._arm_delay][:-1], self._told[-1 - self._gripper_delay][-1]
        if self._share == 1:
            self._followed[:-1] = arm
        else:
            self._followed[:-1] += self._share * (arm - self._followed[:-1])
        self._followed[-1] = gripper
        return self._followed


def spoil_picture(rgb: np.ndarray, imperfections: Imperfections, rng: np.random.Generator) -> np.ndarray:
    """A picture, uint8 [H, W, 3], as a sensor with noise and a restless exposure gives it."""
    if not (imperfections.picture_noise or imperfections.exposure_flicker):
        return rgb
    brightness = rng.normal(1.0, imperfections.exposure_flicker)
    noise = imperfections.picture_noise * rng.standard_normal(rgb.shape, np.float32)
    return np.clip(np.rint(brightness * rgb + noise), 0, 255).astype(np.uint8)
