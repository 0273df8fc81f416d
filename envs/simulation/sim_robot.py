"""The first rung: the simulator as a robot that an agent is deployed on."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.robot import RobotState, simulated_camera
from vjepa_sim.envs.simulation.renderer import Renderer
from vjepa_sim.envs.simulation.scenario import Scenario
from vjepa_sim.envs.simulation.sim_arm import SimArm
from vjepa_sim.envs.simulation.simulation import PERIOD, Simulation
from vjepa_sim.envs.start import Start
from vjepa_sim.envs.tasks import Progress


class SimRobot(SimArm):
    """A :class:`.Robot` without flaws: physics waits for the agent, and the camera for nothing.

    Attributes:
        gripper: name of the gripper.
    """

    simulated = True
    description = "the simulator"
    gripper_status = "ready"

    def __init__(
        self,
        *,
        gripper: str = "robotiq",
        object_name: str = "box",
        arm: str = "panda",
        size: int = 256,
        period: float = PERIOD,
        start: Start | None = None,
    ):
        """
        Args:
            gripper: name of one of :data:`.GRIPPERS`.
            object_name: name of one of :data:`.OBJECTS`.
            arm: name of one of :data:`.ARMS`.
            size: height and width of the camera's images in pixels.
            period: seconds of a step.
            start: of every episode; None for the arm at home, the object on the table, and nobody to judge.
        """
        simulation = Simulation(gripper, object_name, period, arm)
        self.gripper = gripper
        self._scenario = None if start is None else Scenario(simulation, start)
        super().__init__(simulation, Renderer(simulation.model, size))
        self.camera_card = simulated_camera(gripper, size)

    def reset(self) -> Observation:
        """Put arm and object back to the start, and look."""
        self._restart()
        return self.observe()

    def release(self) -> None:
        """Nobody can come near it."""

    def glimpse(self) -> Observation:
        """What is seen now."""
        return self.observe()

    def robot_state(self) -> RobotState:
        """As a robot would report it; nothing pushes, and nothing is lost on the way."""
        matrix = np.eye(4)
        state = self.simulation.state().astype(np.float64)
        matrix[:3, :3], matrix[:3, 3] = pose.euler_to_matrix(state[pose.ROTATION]), state[pose.POSITION]
        return RobotState(self.simulation.time, matrix, self.simulation.joints(), np.zeros(3), "Idle", 1.0)

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """A picture is there whenever it is asked for."""
        return float("inf"), 0.0

    def held_success_rate(self, seconds: float) -> float:
        """Nothing is lost on the way."""
        return 1.0

    def set_speed(self, share: float) -> None:
        """There is one speed.

        Raises:
            UserError: another is asked for.
        """
        if share != 1.0:
            raise UserError("The simulator moves at one speed only, and nothing can break: leave out --slow-first.")

    def go_home(self) -> None:
        """Put the arm at home with open fingers, at once."""
        self.simulation.place_arm(self.simulation.home_joints, closedness=0.0)

    def judge(self) -> Progress | None:
        """The present moment by the task's own test; None without a start."""
        return None if self._scenario is None else self._scenario.measure()

    def _restart(self) -> None:
        if self._scenario is None:
            self.simulation.reset()
        else:
            self._scenario.restart()
