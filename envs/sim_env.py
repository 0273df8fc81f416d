"""The environment in the simulator: samples episodes of a task, and measures success."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.goal_image_env import GoalImageEnv, check_modes
from vjepa_sim.envs.observation import Goal, check_image
from vjepa_sim.envs.safety import SafetyLimits, check_limits, default_limits
from vjepa_sim.envs.scene.cameras import LEFT, Viewpoint, check_viewpoint
from vjepa_sim.envs.scene.stage import Stage
from vjepa_sim.envs.scene.variation import ASPECTS, Variation, check_strength, nominal_cameras, sample_variation
from vjepa_sim.envs.simulation.renderer import Renderer
from vjepa_sim.envs.simulation.sim_arm import SimArm
from vjepa_sim.envs.simulation.simulation import PERIOD, Simulation, Snapshot
from vjepa_sim.envs.tasks import TASKS, Progress, Task
from vjepa_sim.envs.tasks.task import select_goals


@dataclass(frozen=True, kw_only=True)
class Saved:
    """Snapshot of an episode for :meth:`SimEnv.restore`."""

    scene: str
    simulation: Snapshot
    variation: Variation
    goals: tuple[Goal, ...]
    task: Task
    progress: Progress | None
    steps: int


class SimEnv(GoalImageEnv):
    """A :class:`.GoalImageEnv` in the simulator: an arm, one object, one camera.

    A further reset option is ``{"randomize": strength}``, which replaces :attr:`randomize` for this episode.

    Attributes:
        simulation: physics of the scene. Privileged: agents under evaluation must not use it.
        renderer: renderer of all cameras of the scene; agents are given only the left one's images.
        variation: appearance of the present episode.
        randomize: strength of domain randomisation, 0 to 1.
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
            randomize: strength of domain randomisation, 0 (always the nominal appearance) to 1; sampled at each reset.
                A seed's start and goals are the same at every strength.
            vary: what is randomised, of :data:`.ASPECTS`; all by default.
            goals: ``paper`` (one goal image; three for pick and place) or ``dense`` (more sub-goal images).
            reward: ``sparse`` or ``dense``.
            period: control period in seconds.
            viewpoint: the agents' camera, or None for the nominal one; see :func:`.left_at`. Randomisation moves it
                about this position.
            limits: limits of the safety envelope, or None for the defaults of arm and gripper.
            render_mode: ``rgb_array`` or None.

        Raises:
            UserError: a name is unknown, a number out of range, or the task can't be done with the arm or the object.
        """
        check_modes(reward, render_mode)
        check_viewpoint(viewpoint)
        # Raises for bad settings now, not at the first reset.
        sample_variation(np.random.default_rng(0), randomize, aspects=vary)
        select_goals([], goals)
        limits = default_limits(arm, gripper) if limits is None else check_limits(limits)
        self._viewpoint = viewpoint or LEFT.viewpoint
        self._vary, self._protocol = vary, goals
        self.randomize = randomize
        self.simulation = Simulation(gripper, object_name, period, arm)
        TASKS[task].check_arm(self.simulation.arm)
        TASKS[task].check_object(self.simulation.object)
        self._stage = Stage(self.simulation)
        self.renderer = Renderer(self.simulation.model, size)
        super().__init__(
            task,
            SimArm(self.simulation, self.renderer),
            arm_name=arm,
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
        """Instruction of the task in words."""
        return self.task.instruction.replace("object", self.simulation.object.name)

    def save(self) -> Saved:
        """Snapshot of this episode: appearance, goals, physics, servo, and the task's own counters."""
        self._newest("save()")
        task = copy.deepcopy(self.task)
        return Saved(
            scene=self._scene,
            simulation=self.simulation.save(),
            variation=self.variation,
            goals=self._goals,
            task=task,
            progress=self.progress,
            steps=self._steps,
        )

    def restore(self, saved: Saved) -> None:
        """Continue from a snapshot, bit for bit, also after other episodes.

        Raises:
            UserError: it isn't a snapshot of an environment with this task, arm, gripper, object and size.
        """
        self._check_open()
        if not isinstance(saved, Saved) or saved.scene != self._scene:
            found = saved.scene if isinstance(saved, Saved) else f"a {type(saved).__name__}"
            raise UserError(f"restore() takes a snapshot that save() made in {self._scene}; given {found}.")
        self.variation, self._goals = saved.variation, saved.goals
        self._stage.apply(self.variation)
        self.simulation.restore(saved.simulation)
        self.task, self.progress, self._steps = copy.deepcopy(saved.task), saved.progress, saved.steps
        self._observation = self.arm.observe()

    @property
    def _scene(self) -> str:
        names = (self.task.name, self.simulation.object.name, self.arm_name, self.gripper)
        return f"{', '.join(names)} at {self._image_shape[0]} pixels"

    def __copy__(self) -> SimEnv:
        raise UserError("A shallow copy would share the simulation with this environment. Use copy.deepcopy.")

    def _checked(self, options: dict[str, Any] | None) -> dict[str, Any]:
        options = super()._checked(options)
        check_strength(options.get("randomize", self.randomize))
        return options

    def _begin(self, given: list[Goal], options: dict[str, Any]) -> list[Goal]:
        """Sample an episode and its appearance."""
        appearance_rng = copy.deepcopy(self.np_random)
        sample_variation(self.np_random, 0.0)  # so the samples below don't depend on the strength
        strength = options.get("randomize", self.randomize)
        self.variation = sample_variation(appearance_rng, strength, self._viewpoint, self._vary)
        self._stage.apply(self.variation)
        self.simulation.reset()
        goals = self.task.begin(self.simulation, self.np_random, self._render_now)
        for goal in goals:
            check_image(goal.rgb, *self._image_shape[:2], f"goal image {goal.name!r} of task {self.task.name!r}")
        return given or select_goals(goals, self._protocol)

    def _judge(self) -> Progress:
        return self.task.measure(self.simulation)

    def _render_now(self) -> np.ndarray:
        return self.renderer.render(self.simulation.data)
