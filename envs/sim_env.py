"""The environment in the simulator: draws episodes of a task, and judges them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.goal_image_env import GoalImageEnv, check_modes
from vjepa_sim.envs.observation import Goal
from vjepa_sim.envs.safety import SafetyLimits, default_limits
from vjepa_sim.envs.scene.cameras import LEFT, Viewpoint
from vjepa_sim.envs.scene.stage import Stage
from vjepa_sim.envs.scene.variation import ASPECTS, Variation, nominal_cameras, sample_variation
from vjepa_sim.envs.simulation.engine import mujoco
from vjepa_sim.envs.simulation.renderer import Renderer
from vjepa_sim.envs.simulation.sim_arm import SimArm
from vjepa_sim.envs.simulation.simulation import PERIOD, Simulation, Snapshot
from vjepa_sim.envs.tasks import TASKS, Progress, Task
from vjepa_sim.envs.tasks.task import select_goals


@dataclass(frozen=True)
class Saved:
    """A moment of an episode that :meth:`SimEnv.restore` can go back to."""

    simulation: Snapshot
    variation: Variation
    goals: tuple[Goal, ...]
    task: Task
    progress: Progress | None
    steps: int


class SimEnv(GoalImageEnv):
    """A :class:`.GoalImageEnv` in the simulator: an arm, one object, one camera.

    Another reset option is ``{"randomize": strength}``, which replaces the environment's own for this episode.

    Attributes:
        simulation: the scene's physics. Privileged: no agent is given it.
        renderer: of any of the scene's cameras; agents see only the left one's images.
        variation: the look of the present episode.
        randomize: strength of domain randomisation.
    """

    reset_options: ClassVar[tuple[str, ...]] = (*GoalImageEnv.reset_options, "randomize")

    def __init__(
        self,
        task: str = "reach",
        object_name: str = "cup",
        *,
        gripper: str = "robotiq",
        arm: str = "panda",
        size: int = 256,
        randomize: float = 0.0,
        vary: tuple[str, ...] = tuple(ASPECTS),
        goals: str = "paper",
        reward: str = "sparse",
        period: float = PERIOD,
        viewpoint: Viewpoint | None = None,
        limits: SafetyLimits | None = None,
        render_mode: str | None = None,
    ):
        """
        Args:
            task: name of one of :data:`.TASKS`.
            object_name: name of one of :data:`.OBJECTS`.
            gripper: name of one of :data:`.GRIPPERS`.
            arm: name of one of :data:`.ARMS`.
            size: image height and width in pixels.
            randomize: 0 (always the nominal look) to 1 (the full domain randomisation), drawn at each reset. A seed's
                start and goals are the same under every look.
            vary: what is randomised, of :data:`.ASPECTS`; all if not given.
            goals: ``paper`` (one goal image; three for pick and place) or ``dense`` (more sub-goal images).
            reward: ``sparse`` or ``dense``.
            period: seconds of one step, for models that were trained with another than 0.25 s.
            viewpoint: the agents' camera, or None for the nominal one; see :func:`.left_at`. Randomisation moves it
                about this place.
            limits: the safety envelope's, or None for the gripper's defaults.
            render_mode: ``rgb_array`` or None.

        Raises:
            UserError: a name is unknown, a number out of range, or the task can't be done with the object.
        """
        check_modes(reward, render_mode)
        if viewpoint is not None and (not isinstance(viewpoint, Viewpoint) or viewpoint.body != LEFT.viewpoint.body):
            raise UserError(
                f"viewpoint={viewpoint!r}: expected a vjepa_sim.envs.scene.cameras.Viewpoint that stands in the world."
            )
        # Refuse bad settings now, not at the first reset.
        sample_variation(np.random.default_rng(0), randomize, aspects=vary)
        select_goals([], goals)
        limits = limits or default_limits(gripper)
        self._viewpoint = viewpoint or LEFT.viewpoint
        self._vary, self._protocol = vary, goals
        self.randomize = randomize
        self.simulation = Simulation(gripper, object_name, period, arm)
        if TASKS[task].grasps:
            self.simulation.object.held(task)
        self._stage = Stage(self.simulation)
        self.renderer = Renderer(self.simulation.model, size)
        super().__init__(
            task,
            SimArm(self.simulation, self.renderer),
            gripper=gripper,
            image_shape=(size, size, 3),
            limits=limits,
            reward=reward,
            render_mode=render_mode,
        )
        self.variation = Variation(cameras=nominal_cameras(self._viewpoint))

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model, for viewers and Gymnasium's own checks."""
        return self.simulation.model

    @property
    def data(self) -> mujoco.MjData:
        """MuJoCo's data, for viewers and Gymnasium's own checks."""
        return self.simulation.data

    @property
    def task_description(self) -> str:
        """The task in words."""
        return self.task.instruction.replace("object", self.simulation.object.name)

    def save(self) -> Saved:
        """The whole state of this episode: look, goals, physics, servo, and the task's own count."""
        task = copy.deepcopy(self.task)
        return Saved(self.simulation.save(), self.variation, tuple(self.goals), task, self.progress, self._steps)

    def restore(self, saved: Saved) -> None:
        """Continue from a saved moment, bit for bit, whatever episode has been drawn since."""
        self.variation, self.goals = saved.variation, list(saved.goals)
        self._stage.apply(self.variation)
        self.simulation.restore(saved.simulation)
        self.task, self.progress, self._steps = copy.deepcopy(saved.task), saved.progress, saved.steps
        self._observation = self.arm.observe()

    def _begin(self, given: list[Goal], options: dict[str, Any]) -> list[Goal]:
        """Draw an episode and its look."""
        looks = copy.deepcopy(self.np_random)
        sample_variation(self.np_random, 0.0)  # so what is drawn next doesn't depend on the look
        strength = options.get("randomize", self.randomize)
        self.variation = sample_variation(looks, strength, self._viewpoint, self._vary)
        self._stage.apply(self.variation)
        self.simulation.reset()
        drawn = self.task.reset(self.simulation, self.np_random, self._look)
        return given or select_goals(drawn, self._protocol)

    def _judge(self) -> Progress:
        return self.task.measure(self.simulation)

    def _look(self) -> np.ndarray:
        return self.renderer.render(self.simulation.data)
