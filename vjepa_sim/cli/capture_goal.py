"""``vjepa-sim capture-goal``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from vjepa_sim.cli.options import refuse_unused
from vjepa_sim.cli.robot import ConnectionOptions
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.backends import BACKENDS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf
from vjepa_sim.envs.tasks import PROTOCOLS, TASKS

if TYPE_CHECKING:
    from vjepa_sim.envs.observation import Goal
    from vjepa_sim.envs.start import Start

EXPOSURE_TIME = 1.5  # s in which the exposure of a newly opened camera settles
IMAGE_TIME = 3.0  # s to wait for an image
CONNECTION = ("host", "gripper_address", "driver")
SIMULATORS_OWN = ("task", "object", "arm", "goals", "seed", "size")


@dataclass(frozen=True, kw_only=True)
class CaptureGoal(Verb, ConnectionOptions):
    """Save goal images: those of a simulated task, or with --camera, --backend or --image one image.

    With --backend, or --host for franka, the robot's state is saved with the image. An existing folder gets the next
    sub-goal.

    Attributes:
        out: folder of goals, for deploy --goals.
        backend: backend of the robot whose state is saved with the image; franka if a host is given.
        image: photo to take the goal from, .jpg or .png; deploy cuts its centre to the shape of the robot's camera.
        gripper: gripper.
        steps: control steps of the goal, with a camera or a photo.
        name: name of the goal, with a camera or a photo.
        task: task, in the simulator.
        object: object, in the simulator.
        arm: arm, in the simulator.
        goals: paper or dense, in the simulator.
        seed: random seed of the episode with the goals, in the simulator.
        size: height and width of the images in pixels, in the simulator.
    """

    out: Path
    backend: Annotated[str | None, OneOf(BACKENDS)] = None
    image: Path | None = None
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"
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
        from vjepa_sim.envs.cameras.image_check import image_fault, reduced_grey

        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: a goal needs at least one.")
        goals, camera, start = self._goals()
        for goal in goals:
            fault = image_fault(reduced_grey(goal.rgb))
            if fault:
                raise UserError(f"The image of goal {goal.name!r} is {fault}. Check lens, light and exposure.")
        save_goals(self.out, goals, camera, start)
        number = len(load_goals(self.out))
        print(
            f"{self.out} has {number} {'goal' if number == 1 else 'goals'}; the newest is {goals[-1].rgb.shape[1]} "
            f"× {goals[-1].rgb.shape[0]} pixels."
        )
        return 0

    def _goals(self) -> tuple[list[Goal], dict[str, Any], Start | None]:
        """Goals, the description of their camera, and the start of their episode if it was simulated."""
        from vjepa_sim.data.goal_folder import photo_goal

        if self.image is not None:
            refuse_unused(self, (*SIMULATORS_OWN, "backend", "camera", "gripper", *CONNECTION), "with --image")
            goal, camera = photo_goal(self.image, self.steps, self.name)
            return [goal], camera, None
        if self.backend is not None:
            refuse_unused(self, SIMULATORS_OWN, "with --backend, only in the simulator")
            return *self._of_robot(self.backend), None
        if self.camera is None:
            refuse_unused(self, (*CONNECTION, "steps", "name"), "without --camera or --image, in the simulator")
            return self._simulated()
        refuse_unused(self, SIMULATORS_OWN, "with --camera, only in the simulator")
        if self.host is not None:
            return *self._of_robot("franka"), None
        refuse_unused(self, ("gripper", *CONNECTION), "with --camera alone, as no robot is connected")
        return *self._of_camera(self.camera), None

    def _simulated(self) -> tuple[list[Goal], dict[str, Any], Start]:
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

    def _of_camera(self, address: str) -> tuple[list[Goal], dict[str, Any]]:
        """An image of a camera."""
        from vjepa_sim.envs.cameras import open_camera, without_password
        from vjepa_sim.envs.observation import Goal

        with open_camera(address) as camera:
            rgb, stamp = camera.latest()
            exposed = stamp + EXPOSURE_TIME
            while stamp < exposed:
                rgb, stamp = camera.wait_newer(stamp, IMAGE_TIME)
            return [Goal(rgb, self.steps, None, self.name)], {"address": without_password(address)}

    def _of_robot(self, backend: str) -> tuple[list[Goal], dict[str, Any]]:
        """An image of a robot's camera, with the robot's state."""
        from vjepa_sim.envs.observation import Goal

        GRIPPERS.check(self.gripper)
        settings = self.robot_settings(backend)
        if "gripper" in BACKENDS[backend].takes():
            settings["gripper"] = self.gripper
        else:
            refuse_unused(self, ("gripper",), f"with --backend {backend}")
        robot = BACKENDS[backend].opener()(**settings)
        try:
            robot.camera_pace(EXPOSURE_TIME)
            seen = robot.glimpse()
            return [Goal(seen.rgb, self.steps, seen.state, self.name)], robot.camera_card
        finally:
            robot.close()
