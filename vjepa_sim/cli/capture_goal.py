"""``vjepa-sim capture-goal``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envs.errors import UserError


@dataclass(frozen=True)
class CaptureGoal:
    """Save goal images: one from a camera, or a task's from the simulator. Given again, it appends the next sub-goal.

    Attributes:
        out: folder; deploy --goals takes it.
        camera: index, device, URL, realsense or zed; the simulator's if not given.
        host: of the robot, to keep the arm's pose beside the picture.
        gripper: robotiq or panda_hand.
        gripper_address: serial device of a Robotiq, for its closedness.
        steps: control steps that an agent gets for this goal.
        name: what the picture shows.
        task: in the simulator: reach, grasp, reach-with-object or pick-and-place.
        object: in the simulator: cup or box.
        goals: in the simulator: paper or dense.
        seed: in the simulator: of the episode whose goals are taken.
        size: in the simulator: of the pictures in pixels.
    """

    out: Path
    camera: str | None = None
    host: str | None = None
    gripper: str = "robotiq"
    gripper_address: str | None = None
    steps: int = 10
    name: str = "goal"
    task: str = "reach"
    object: str = "box"
    goals: str = "paper"
    seed: int = 0
    size: int = 256

    def run(self) -> int:
        from data.goals import load_goals, save_goals

        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: an agent needs at least one.")
        goals, camera = self._simulated() if self.camera is None else self._seen()
        save_goals(self.out, goals, camera)
        print(
            f"{self.out} has {len(load_goals(self.out))} goals now; the newest is {goals[-1].rgb.shape[1]} × {goals[-1].rgb.shape[0]} pixels."
        )
        return 0

    def _simulated(self):
        from envs.franka_env import FrankaEnv
        from envs.seeds import evaluation_seed

        env = FrankaEnv(self.task, self.object, self.gripper, self.size, goals=self.goals)
        try:
            env.reset(seed=evaluation_seed(self.seed, 0))
            return list(env.goals), {"simulated": {"gripper": self.gripper, "size": self.size}}
        finally:
            env.close()

    def _seen(self):
        from envs.cameras import open_camera
        from envs.observation import Goal

        with open_camera(self.camera) as camera:
            rgb, _ = camera.latest()
            return [Goal(rgb, self.steps, self._pose(), self.name)], {"address": self.camera}

    def _pose(self):
        """The arm's state, if a robot was given."""
        if self.host is None:
            return None
        import numpy as np

        from envs.franka.franky_driver import FrankyDriver
        from envs.grippers import open_gripper
        from envs.pose import matrix_to_euler

        if self.gripper == "robotiq" and self.gripper_address is None:
            raise UserError("A Robotiq's closedness is part of the arm's state: give --gripper-address /dev/ttyUSB0.")
        driver = FrankyDriver(self.host)
        try:
            pose = driver.read().pose
        finally:
            driver.close()
        gripper = open_gripper(self.gripper, self.gripper_address or self.host)
        try:
            closedness = gripper.closedness
        finally:
            gripper.close()
        return np.array([*pose[:3, 3], *matrix_to_euler(pose[:3, :3]), closedness], np.float32)
