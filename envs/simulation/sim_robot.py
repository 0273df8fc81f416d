"""The ``sim`` backend: the simulator as a robot for deployment."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.robot import RobotState, simulated_camera
from vjepa_sim.envs.scene.cameras import LEFT, Viewpoint, check_viewpoint
from vjepa_sim.envs.simulation.renderer import Renderer
from vjepa_sim.envs.simulation.scenario import Scenario
from vjepa_sim.envs.simulation.sim_arm import SimArm
from vjepa_sim.envs.simulation.simulation import PERIOD, Simulation
from vjepa_sim.envs.start import Start, check_start
from vjepa_sim.envs.tasks import Progress


class SimRobot(SimArm):
    """A :class:`.Robot` in the simulator, without latency or noise; physics waits for the agent.

    Attributes:
        arm_name, gripper: names of arm and gripper.
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
        viewpoint: Viewpoint | None = None,
    ):
        """
        Args:
            gripper: name of one of :data:`.GRIPPERS`.
            object_name: name of one of :data:`.OBJECTS`.
            arm: name of one of :data:`.ARMS`.
            size: height and width of the camera's images in pixels.
            period: control period, seconds.
            start: start of every episode; None for the arm at home, the object in the middle of the table, and no test
                of success.
            viewpoint: the agents' camera, or None for the nominal one; see :func:`.left_at`.
        """
        check_start(start)
        check_viewpoint(viewpoint)
        simulation = Simulation(gripper, object_name, period, arm)
        self.arm_name, self.gripper = arm, gripper
        self._scenario = None if start is None else Scenario(simulation, start)
        super().__init__(simulation, Renderer(simulation.model, size))
        self.camera_card = simulated_camera(gripper, size)
        if viewpoint is not None and viewpoint != LEFT.viewpoint:  # the viewpoint of all backends
            viewpoint.place(simulation.model, LEFT.name)
            self.camera_card["simulated"]["azimuth"] = viewpoint.azimuth

    def reset(self) -> Observation:
        """Put arm and object back to the start; returns the first observation."""
        self._restart()
        return self.observe()

    def release(self) -> None:
        """Nothing to do: no person can come near a simulated arm."""

    def glimpse(self) -> Observation:
        """The present observation."""
        return self.observe()

    def robot_state(self) -> RobotState:
        """The state as a robot would report it, without external force."""
        matrix = np.eye(4)
        state = self.simulation.state().astype(np.float64)
        matrix[:3, :3], matrix[:3, 3] = pose.euler_to_matrix(state[pose.ROTATION]), state[pose.POSITION]
        return RobotState(
            clock=self.simulation.time,
            pose=matrix,
            joints=self.simulation.joints(),
            force=np.zeros(3),
        )

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Images per second and the longest wait: an image is always available."""
        return float("inf"), 0.0

    def held_link_quality(self, seconds: float) -> None:
        """None: the simulator has no control packets."""
        return None

    def set_speed(self, share: float) -> None:
        """Accept the usual speed only.

        Raises:
            UserError: the share is not 1.
        """
        if share != 1.0:
            raise UserError("The simulator has one speed only, and nothing can be damaged: leave out --slow-first.")

    def go_home(self) -> None:
        """Put the arm at home with open fingers, at once."""
        self.simulation.place_arm(self.simulation.home_joints, closedness=0.0)

    def judge(self) -> Progress | None:
        """Progress by the task's own test; None without a start."""
        return None if self._scenario is None else self._scenario.measure()

    def _restart(self) -> None:
        if self._scenario is None:
            self.simulation.reset()
        else:
            self._scenario.restart()
