"""The ``noisy-sim`` backend: the simulator with camera latency, noise, and actuator delay and lag."""

from __future__ import annotations

from collections import deque
from functools import partial

import numpy as np

from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.pose import POSITION, ROTATION
from vjepa_sim.envs.scene.cameras import Viewpoint
from vjepa_sim.envs.simulation.imperfections import Imperfections, SlowActuators, add_image_noise
from vjepa_sim.envs.simulation.sim_robot import SimRobot
from vjepa_sim.envs.simulation.simulation import PERIOD
from vjepa_sim.envs.start import Start

TICK = 1e-9  # s by which two sums of the same time steps may differ


class NoisyRobot(SimRobot):
    """A :class:`.SimRobot` with the imperfections of a real robot.

    A late image is rendered from the physics state at its exposure. The noise is not reseeded between episodes.
    """

    description = "the simulator with imperfections"

    def __init__(
        self,
        *,
        gripper: str = "robotiq",
        object_name: str = "box",
        arm: str = "panda",
        size: int = 256,
        period: float = PERIOD,
        start: Start | None = None,
        viewpoint: Viewpoint | None = None,
        imperfections: Imperfections | None = None,
    ):
        """
        Args:
            gripper, object_name, arm, size, period, start, viewpoint: see :class:`.SimRobot`.
            imperfections: imperfections, or None for the defaults.
        """
        imperfections = Imperfections() if imperfections is None else imperfections
        if not isinstance(imperfections, Imperfections):
            raise UserError(
                f"imperfections={imperfections!r}: expected a vjepa_sim.envs.simulation.imperfections.Imperfections."
            )
        super().__init__(
            gripper=gripper,
            object_name=object_name,
            arm=arm,
            size=size,
            period=period,
            start=start,
            viewpoint=viewpoint,
        )
        self.imperfections = imperfections
        self._rng = np.random.default_rng(self.imperfections.seed)
        self._past_data = mujoco.MjData(self.simulation.model)
        self._clear_past()

    def observe(self) -> Observation:
        """A late image, the noisy present state, and the time of the physics."""
        state = self.simulation.state()
        for part, size in (
            (POSITION, self.imperfections.position_noise),
            (ROTATION, self.imperfections.rotation_noise),
        ):
            if size:
                state[part] += self._rng.normal(0, size, 3).astype(np.float32)
        image = add_image_noise(self._late_image(), self.imperfections, self._rng)
        return Observation(image, state, self.simulation.time)

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Images per second and the longest wait: an image is always available, with the camera's latency."""
        return float("inf"), self.imperfections.camera_latency

    def go_home(self) -> None:
        """Put the arm at home with open fingers, at once."""
        super().go_home()
        self._clear_past()

    def _restart(self) -> None:
        super()._restart()
        self._clear_past()

    def _clear_past(self) -> None:
        simulation = self.simulation
        actuators = SlowActuators(self.imperfections, simulation.model.opt.timestep, simulation.data.ctrl)
        self._past: deque[tuple[float, np.ndarray]] = deque()
        simulation.actuators = partial(_record, simulation.data, self._past, actuators)

    def _late_image(self) -> np.ndarray:
        moment = self.simulation.time - self.imperfections.camera_latency + TICK
        while len(self._past) > 1 and self._past[1][0] <= moment:
            self._past.popleft()
        if not self._past or self.imperfections.camera_latency == 0:
            return self.renderer.render(self.simulation.data)
        data = self._past_data
        data.qpos[:] = self._past[0][1]
        for refresh in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            refresh(self.simulation.model, data)
        return self.renderer.render(data)


def _record(
    data: mujoco.MjData, past: deque[tuple[float, np.ndarray]], actuators: SlowActuators, controls: np.ndarray
) -> np.ndarray:
    """Called before each physics step: store the positions, and apply delay and lag to the controls."""
    past.append((data.time, data.qpos.copy()))
    return actuators(controls)
