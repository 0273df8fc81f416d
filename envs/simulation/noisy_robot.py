"""The second rung: the simulator, seen late and moved sluggishly."""

from __future__ import annotations

from collections import deque

import numpy as np

from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.pose import POSITION, ROTATION
from vjepa_sim.envs.simulation.engine import mujoco
from vjepa_sim.envs.simulation.imperfections import Imperfections, SlowActuators, spoil_picture
from vjepa_sim.envs.simulation.sim_robot import SimRobot
from vjepa_sim.envs.simulation.simulation import PERIOD
from vjepa_sim.envs.start import Start

TICK = 1e-9  # s by which two sums of the same time steps may differ


class NoisyRobot(SimRobot):
    """A :class:`.SimRobot` with a real rig's imperfections.

    A late picture is rendered from the physics of that earlier moment. Noise goes on from episode to episode.
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
        imperfections: Imperfections | None = None,
    ):
        """
        Args:
            gripper, object_name, arm, size, period, start: see :class:`.SimRobot`.
            imperfections: None for the usual ones.
        """
        super().__init__(gripper=gripper, object_name=object_name, arm=arm, size=size, period=period, start=start)
        self.imperfections = imperfections or Imperfections()
        self._rng = np.random.default_rng(self.imperfections.seed)
        self._scene_then = mujoco.MjData(self.simulation.model)
        self._begin()
        self.simulation.actuators = self._tick

    def observe(self) -> Observation:
        """A picture of a while ago, the noisy state, and the physics clock."""
        state = self.simulation.state()
        for part, size in (
            (POSITION, self.imperfections.position_noise),
            (ROTATION, self.imperfections.rotation_noise),
        ):
            if size:
                state[part] += self._rng.normal(0, size, 3).astype(np.float32)
        picture = spoil_picture(self._late_picture(), self.imperfections, self._rng)
        return Observation(picture, state, self.simulation.time)

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """A picture is there whenever it is asked for, a late one."""
        return float("inf"), self.imperfections.camera_latency

    def go_home(self) -> None:
        """Put the arm at home with open fingers, at once."""
        super().go_home()
        self._begin()

    def _restart(self) -> None:
        super()._restart()
        self._begin()

    def _begin(self) -> None:
        """Nothing has happened yet."""
        self._past: deque[tuple[float, np.ndarray]] = deque()
        timestep = self.simulation.model.opt.timestep
        self._actuators = SlowActuators(self.imperfections, timestep, self.simulation.data.ctrl)

    def _tick(self, controls: np.ndarray) -> np.ndarray:
        """Before each step of physics: remember where everything is."""
        data = self.simulation.data
        self._past.append((data.time, data.qpos.copy()))
        return self._actuators(controls)

    def _late_picture(self) -> np.ndarray:
        moment = self.simulation.time - self.imperfections.camera_latency + TICK
        while len(self._past) > 1 and self._past[1][0] <= moment:
            self._past.popleft()
        if not self._past or self.imperfections.camera_latency == 0:
            return self.renderer.render(self.simulation.data)
        then = self._scene_then
        then.qpos[:] = self._past[0][1]
        for refresh in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            refresh(self.simulation.model, then)
        return self.renderer.render(then)
