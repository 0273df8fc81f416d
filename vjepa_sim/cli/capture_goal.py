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

EXPOSURE_TIME = 1.5  # s in which a camera that was just opened finds its exposure
PICTURE_TIME = 3.0  # s to wait for a picture
CAMERAS_OWN = ("host", "gripper_address", "driver", "steps", "name")
SIMULATORS_OWN = ("task", "object", "arm", "goals", "seed", "size")


@dataclass(frozen=True, kw_only=True)
class CaptureGoal(Verb):
    """Save goal images: one from a camera, or a task's from the simulator. Given again, it appends the next sub-goal.

    Attributes:
        out: folder; deploy --goals takes it.
        camera: index, device, URL, realsense or zed; the simulator's if not given.
        host: of the robot, to keep the arm's pose beside the picture.
        gripper: the gripper.
        gripper_address: serial device of a Robotiq, for its closedness.
        driver: library that talks to the robot.
        steps: with a camera: control steps that an agent gets for this goal.
        name: with a camera: what the picture shows.
        task: in the simulator: the task.
        object: in the simulator: the object.
        arm: in the simulator: the arm.
        goals: in the simulator: paper or dense.
        seed: in the simulator: random seed of the episode whose goals are taken.
        size: in the simulator: height and width of the images in pixels.
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
        from vjepa_sim.data.goals import load_goals, save_goals

        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: an agent needs at least one.")
        if self.camera is None:
            refuse_unused(self, CAMERAS_OWN, "without --camera, for the goal is the simulator's")
        else:
            refuse_unused(self, SIMULATORS_OWN, "with --camera; it is for the simulator")
        goals, camera, start = self._simulated() if self.camera is None else (*self._seen(), None)
        save_goals(self.out, goals, camera, start)
        number = len(load_goals(self.out))
        print(
            f"{self.out} has {number} {'goal' if number == 1 else 'goals'} now; the newest is {goals[-1].rgb.shape[1]} "
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

    def _seen(self):
        """A picture and, if a robot was given, the arm's state beside it."""
        from vjepa_sim.envs.cameras import open_camera, without_password
        from vjepa_sim.envs.observation import Goal

        told = {"address": without_password(self.camera)}
        if self.host is None:
            with open_camera(self.camera) as camera:
                rgb, stamp = camera.latest()
                exposed = stamp + EXPOSURE_TIME
                while stamp < exposed:
                    rgb, stamp = camera.wait_newer(stamp, PICTURE_TIME)
                return [Goal(rgb, self.steps, None, self.name)], told
        from vjepa_sim.envs.franka import open_arm

        arm = open_arm(self.host, self.camera, self.gripper, self.gripper_address, driver=self.driver)
        try:
            arm.camera_pace(EXPOSURE_TIME)
            seen = arm.glimpse()
        finally:
            arm.close()
        return [Goal(seen.rgb, self.steps, seen.state, self.name)], told
