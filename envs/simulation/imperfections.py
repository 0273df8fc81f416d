"""Imperfections of a real robot that the ``noisy-sim`` backend simulates: latency, noise and lag."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np

from vjepa_sim.envs.errors import UserError

LONGEST = 2.0  # s


@dataclass(frozen=True, kw_only=True)
class Imperfections:
    """Imperfections of a robot. With all of them 0 the simulator is unchanged, bit for bit.

    Attributes:
        camera_latency: seconds from the exposure of an image to its arrival.
        picture_noise: standard deviation of the noise of each pixel and colour, grey levels of 255.
        exposure_flicker: standard deviation of an image's brightness, a share of it.
        position_noise: standard deviation of the noise of the measured x, y and z, metres.
        rotation_noise: standard deviation of the noise of the measured Euler angles, radians.
        arm_delay: seconds after which the arm starts to follow a command.
        arm_lag: time constant with which it then follows, seconds; at the end of a step it is still short of its goal.
        gripper_delay: seconds after which the fingers start to follow a command.
        seed: random seed of the noise.
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
                raise UserError(f"{field.name}={value}: expected a finite number of 0 or more.")
        for name in ("camera_latency", "arm_delay", "arm_lag", "gripper_delay"):
            if getattr(self, name) > LONGEST:
                raise UserError(f"{name}={getattr(self, name)}: expected seconds, at most {LONGEST}.")


class SlowActuators:
    """Motors with a delay and a first-order lag; see :attr:`.Simulation.actuators`."""

    def __init__(self, imperfections: Imperfections, timestep: float, controls: np.ndarray):
        """
        Args:
            imperfections: delays and lag; delays are rounded to whole physics steps.
            timestep: physics time step, seconds.
            controls: initial controls [J + 1]: joint references and that of the gripper.
        """
        self._arm_delay = round(imperfections.arm_delay / timestep)
        self._gripper_delay = round(imperfections.gripper_delay / timestep)
        lag = imperfections.arm_lag
        self._share = 1 - np.exp(-timestep / lag) if lag > 0 else 1.0  # share of the error that a step removes
        longest = 1 + max(self._arm_delay, self._gripper_delay)
        self._delayed = deque([controls.copy()] * longest, maxlen=longest)
        self._followed = controls.copy()

    def __call__(self, controls: np.ndarray) -> np.ndarray:
        """Effective controls [J + 1] for the next physics step, given the commanded ``controls`` [J + 1]."""
        self._delayed.append(controls)
        arm, gripper = self._delayed[-1 - self._arm_delay][:-1], self._delayed[-1 - self._gripper_delay][-1]
        if self._share == 1:
            self._followed[:-1] = arm
        else:
            self._followed[:-1] += self._share * (arm - self._followed[:-1])
        self._followed[-1] = gripper
        return self._followed


def add_image_noise(rgb: np.ndarray, imperfections: Imperfections, rng: np.random.Generator) -> np.ndarray:
    """The image, uint8 [H, W, 3], with pixel noise and a random change of exposure."""
    if not (imperfections.picture_noise or imperfections.exposure_flicker):
        return rgb
    brightness = rng.normal(1.0, imperfections.exposure_flicker)
    noise = imperfections.picture_noise * rng.standard_normal(rgb.shape, np.float32)
    return np.clip(np.rint(brightness * rgb + noise), 0, 255).astype(np.uint8)
