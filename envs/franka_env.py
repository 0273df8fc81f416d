"""The Gymnasium environment: a task done by an arm in front of a camera."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs.camera import Camera
from envs.errors import UserError, unknown_name
from envs.observation import Goal, Observation, check_image
from envs.pose import ACTION_DIM, STATE_BOUND, STATE_DIM
from envs.safety import SafetyEnvelope, SafetyLimits, default_limits
from envs.scene.cameras import LEFT, Viewpoint
from envs.sim_arm import SimArm
from envs.simulation import PERIOD, Simulation, Snapshot
from envs.tasks import TASKS, Progress, Task
from envs.tasks.task import select_goals
from envs.variation import ASPECTS, Stage, Variation, sample_variation


@dataclass(frozen=True)
class Saved:
    """A moment of an episode that :meth:`FrankaEnv.restore` can go back to."""

    simulation: Snapshot
    variation: Variation
    goals: tuple[Goal, ...]
    task: Task
    progress: Progress


class FrankaEnv(gymnasium.Env):
    """A Franka arm, one object, one camera, one goal given as an image.

    Observation (a dict): ``rgb`` uint8 [size, size, 3]; ``state`` float32 [7]; ``goal`` uint8 [size, size, 3], the
    image of the last sub-goal. Action: float32 [7], a change of state over one control period (0.25 s by default), see
    :mod:`envs.pose`; the space's bounds are the arm's step limits and larger values are clipped.

    The reward is 1.0 while the task counts as solved and else 0.0. An episode never ends early: made with
    ``gymnasium.make`` it is truncated at the task's budget of steps. ``info`` has ``is_success`` (and the same as
    ``success``), ``error`` in metres, ``stamp`` in seconds, ``clipped`` (what the safety envelope changed), after a
    step ``action_sent`` (the action [7] that the arm really carried out) and, after a reset, ``goals``.

    Args:
        task: ``reach``, ``grasp``, ``reach-with-object`` or ``pick-and-place``.
        object_name: ``cup`` or ``box``.
        gripper: ``robotiq`` (2F-85) or ``panda_hand``.
        size: image height and width in pixels.
        randomize: 0 (always the nominal look) to 1 (the full domain randomisation), drawn at each reset. A seed's start
            and goals are the same under every look.
        vary: what is randomised, of :data:`envs.variation.ASPECTS`; all if not given.
        render_mode: ``rgb_array`` or None.
        limits: the safety envelope's, or None for the gripper's defaults.
        goals: ``paper`` (one goal image; three for pick and place) or ``dense`` (more sub-goal images).
        period: seconds of one step, for models that were trained with another than 0.25 s.
        viewpoint: the agents' camera, or None for the nominal one; see :func:`envs.scene.cameras.left_at`.
            Randomisation moves it about this place.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": round(1 / PERIOD)}

    def __init__(
        self,
        task: str = "reach",
        object_name: str = "cup",
        gripper: str = "robotiq",
        size: int = 256,
        randomize: float = 0.0,
        render_mode: str | None = None,
        limits: SafetyLimits | None = None,
        goals: str = "paper",
        period: float = PERIOD,
        viewpoint: Viewpoint | None = None,
        vary: tuple[str, ...] = tuple(ASPECTS),
    ):
        if task not in TASKS:
            raise unknown_name("task", task, TASKS)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise unknown_name("render_mode", render_mode, self.metadata["render_modes"])
        if viewpoint is not None and (not isinstance(viewpoint, Viewpoint) or viewpoint.body != LEFT.body):
            raise UserError(
                f"viewpoint={viewpoint!r}: expected an envs.scene.cameras.Viewpoint that stands in the world."
            )
        self._viewpoint = viewpoint or LEFT
        # Refuse a bad strength or aspect now, not at the first reset.
        sample_variation(np.random.default_rng(0), randomize, aspects=vary)
        self._vary = vary
        self.render_mode = render_mode
        self.randomize = randomize
        select_goals([], goals)  # refuse an unknown protocol now
        self._protocol = goals
        self.task = TASKS[task]()
        self.simulation = Simulation(gripper, object_name, period)
        self.metadata = {**self.metadata, "render_fps": 1 / period if period > 1 else round(1 / period)}
        self._stage = Stage(self.simulation.model, object_name)
        self._camera = Camera(self.simulation.model, size)
        self.arm = SafetyEnvelope(SimArm(self.simulation, self._camera), limits or default_limits(gripper))
        self.variation = Variation(left=self._viewpoint)
        self.goals: list[Goal] = []
        self.progress = Progress(success=False, error=float("inf"))
        self._observation: Observation | None = None

        image = gymnasium.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.observation_space = gymnasium.spaces.Dict(
            {
                "rgb": image,
                "state": gymnasium.spaces.Box(-STATE_BOUND, STATE_BOUND, (STATE_DIM,), np.float32),
                "goal": image,
            }
        )
        step = self.arm.limits.step.astype(np.float32)
        self.action_space = gymnasium.spaces.Box(-step, step, (ACTION_DIM,), np.float32)

    @property
    def model(self):
        """MuJoCo's model, for viewers and Gymnasium's own checks."""
        return self.simulation.model

    @property
    def data(self):
        """MuJoCo's data, for viewers and Gymnasium's own checks."""
        return self.simulation.data

    @property
    def task_description(self) -> str:
        """The task in words."""
        return self.task.instruction.replace("object", self.simulation.object_name)

    @property
    def observation(self) -> Observation:
        """The newest observation, as agents get it."""
        if self._observation is None:
            raise gymnasium.error.ResetNeeded("Call reset() before asking for an observation.")
        return self._observation

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Draw a new episode.

        Args:
            seed: makes everything that follows repeatable, bit for bit.
            options: ``{"goal": image}`` puts a goal image of one's own (uint8 [size, size, 3]) in the place of the
                task's; success is still judged by the task's own goal. ``{"randomize": strength}`` replaces the
                environment's strength of randomisation for this episode.
        """
        super().reset(seed=seed)
        options = {} if options is None else options
        if not isinstance(options, dict):
            raise UserError(f"options must be a dict such as {{'goal': image}}; a {type(options).__name__} was given.")
        unknown = set(options) - {"goal", "randomize"}
        if unknown:
            raise unknown_name("reset option", sorted(unknown)[0], ["goal", "randomize"])
        if "goal" in options:  # before anything changes
            check_image(options["goal"], self._camera.size, self._camera.size, "goal image")
        looks = copy.deepcopy(self.np_random)
        sample_variation(self.np_random, 0.0)  # so what is drawn next doesn't depend on the look
        strength = options.get("randomize", self.randomize)
        self.variation = sample_variation(looks, strength, self._viewpoint, self._vary)
        self._stage.apply(self.variation)
        self.simulation.reset()
        self.goals = select_goals(self.task.reset(self.simulation, self.np_random, self._look), self._protocol)
        if "goal" in options:
            self.goals = [Goal(rgb=np.array(options["goal"]), steps=self.task.budget)]
        self._observation = self.arm.reset()
        info = self._measure()
        info["goals"] = self.goals
        return self._as_dict(), info

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Move for one control period.

        Raises:
            UserError: the action has another shape or is not finite; nothing has moved then.
        """
        if self._observation is None:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        sent = self.arm.command(action)
        self._observation = self.arm.observe()
        info = self._measure()
        info["action_sent"] = sent
        return self._as_dict(), float(self.progress.success), False, False, info

    def render(self) -> np.ndarray | None:
        """The camera's image, uint8 [size, size, 3], when made with ``render_mode="rgb_array"``."""
        return self.observation.rgb if self.render_mode == "rgb_array" else None

    def save(self) -> Saved:
        """The whole state of this episode: look, goals, physics, servo, and the task's own count."""
        return Saved(self.simulation.save(), self.variation, tuple(self.goals), copy.deepcopy(self.task), self.progress)

    def restore(self, saved: Saved) -> None:
        """Continue from a saved moment, bit for bit, whatever episode has been drawn since."""
        self.variation, self.goals = saved.variation, list(saved.goals)
        self._stage.apply(self.variation)
        self.simulation.restore(saved.simulation)
        self.task, self.progress = copy.deepcopy(saved.task), saved.progress
        self._observation = self.arm.observe()

    def close(self) -> None:
        """Free the renderer."""
        self.arm.close()

    @property
    def camera(self) -> Camera:
        """For the pictures and the calibration of any of the scene's cameras; agents see only the left one."""
        return self._camera

    def _look(self) -> np.ndarray:
        return self._camera.render(self.simulation.data)

    def _as_dict(self) -> dict[str, np.ndarray]:
        return {"rgb": self.observation.rgb, "state": self.observation.state, "goal": self.goals[-1].rgb.copy()}

    def _measure(self) -> dict[str, Any]:
        self.progress = self.task.measure(self.simulation)
        return {
            "is_success": self.progress.success,
            "success": self.progress.success,
            "error": self.progress.error,
            "stamp": self.observation.stamp,
            "clipped": list(self.arm.clipped),
        }
