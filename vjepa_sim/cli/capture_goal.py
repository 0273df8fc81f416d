"""``vjepa-sim capture-goal``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vjepa_sim.cli.options import refuse_unused
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf
from vjepa_sim.envs.tasks import PROTOCOLS, TASKS

EXPOSURE_TIME = 1.5  # s in which the exposure of a newly opened camera settles
IMAGE_TIME = 3.0  # s to wait for an image
CAMERAS_OWN = ("host", "gripper_address", "driver", "steps", "name")
SIMULATORS_OWN = ("task", "object", "arm", "goals", "seed", "size")


@dataclass(frozen=True, kw_only=True)
class CaptureGoal(Verb):
    """Save goal images: one from a camera, or those of a simulated task. An existing folder gets the next sub-goal.

    Attributes:
        out: folder of goals, for deploy --goals.
        camera: index, device, URL, realsense or zed; the simulator's camera if not given.
        host: address of the robot, to save the arm's state with the image.
        gripper: gripper.
        gripper_address: serial device of a Robotiq, to read its closedness.
        driver: client library of the robot.
        steps: control steps of the goal, with a camera.
        name: name of the goal, with a camera.
        task: task, in the simulator.
        object: object, in the simulator.
        arm: arm, in the simulator.
        goals: paper or dense, in the simulator.
        seed: random seed of the episode with the goals, in the simulator.
        size: height and width of the images in pixels, in the simulator.
    """

    out: Path
    camera: str | None = None
    host: str | None = None
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"
    gripper_address: str | None = None
    driver: Annotated[str, OneOf("vjepa_sim.envs.franka:DRIVERS")] = "franky"
    steps: int = 10
    name: str = "goal"
    task: Annotated[str, OneOf(TASKS)] = "reach"
    object: Annotated[str, OneOf(OBJECTS)] = "box"
    arm: Annotated[str, OneOf(ARMS)] = "panda"
    goals: Annotated[str, OneOf(PROTOCOLS)] = "paper"
    seed: int = 0
    size: int = 256

    def run(self) -> int:
        from vjepa_sim.data.goal_folder import load_goals, save_goals

        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: a goal needs at least one.")
        if self.camera is None:
            refuse_unused(self, CAMERAS_OWN, "without --camera, as the goals are simulated")
        else:
            refuse_unused(self, SIMULATORS_OWN, "with --camera, only in the simulator")
        goals, camera, start = self._simulated() if self.camera is None else (*self._captured(self.camera), None)
        save_goals(self.out, goals, camera, start)
        number = len(load_goals(self.out))
        print(
            f"{self.out} has {number} {'goal' if number == 1 else 'goals'}; the newest is {goals[-1].rgb.shape[1]} "
            f"× {goals[-1].rgb.shape[0]} pixels."
        )
        return 0

    def _simulated(self):
        from vjepa_sim.envs.robot import simulated_camera
        from vjepa_sim.envs.seeds import evaluation_seed
        from vjepa_sim.envs.sim_env import SimEnv
        from vjepa_sim.envs.simulation.scenario import start_of

        env = SimEnv(self.task, self.object, arm=self.arm, gripper=self.gripper, size=self.size, goals=self.goals)
        try:
            seed = evaluation_seed(self.seed, 0)
            env.reset(seed=seed)
            start = start_of(env.simulation, self.task, seed)
            return list(env.goals), simulated_camera(self.gripper, self.size), start
        finally:
            env.close()

    def _captured(self, address: str):
        """An image and, if a robot was given, the arm's state with it."""
        from vjepa_sim.envs.cameras import open_camera, without_password
        from vjepa_sim.envs.observation import Goal

        card = {"address": without_password(address)}
        if self.host is None:
            with open_camera(address) as camera:
                rgb, stamp = camera.latest()
                exposed = stamp + EXPOSURE_TIME
                while stamp < exposed:
                    rgb, stamp = camera.wait_newer(stamp, IMAGE_TIME)
                return [Goal(rgb, self.steps, None, self.name)], card
        from vjepa_sim.envs.franka import open_arm

        arm = open_arm(
            self.host, address, gripper=self.gripper, gripper_address=self.gripper_address, driver=self.driver
        )
        try:
            arm.camera_pace(EXPOSURE_TIME)
            seen = arm.glimpse()
        finally:
            arm.close()
        return [Goal(seen.rgb, self.steps, seen.state, self.name)], card
