"""Evaluation of the planner during training."""

from __future__ import annotations

import numpy as np

from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import make_env, run_episode, usable_seeds
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import planner_for
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.safety import default_limits
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.world_model import WorldModel

TRIAL_SEED = 1_000_000  # first seed, apart from those of reported evaluations


class Trial:
    """Evaluates the planner on each task with each object, with the goals ``paper``; see :class:`.PlanTrial`.

    Attributes:
        every: training steps between two evaluations.
    """

    def __init__(self, every: int, episodes: int, tasks: tuple[str, ...] | None = None):
        """
        Args:
            every: training steps between two evaluations.
            episodes: episodes per task and object.
            tasks: names of tasks; None for all.

        Raises:
            UserError: a number is below 1.
        """
        if every < 1 or episodes < 1:
            raise UserError(f"Evaluations every {every} steps with {episodes} episodes: both must be at least 1.")
        self.every = every
        self._episodes, self._tasks, self._objects = episodes, tasks or tuple(TASKS), tuple(OBJECTS)

    def check(self, model: WorldModel) -> None:
        """Raise :class:`.UserError` if the model does not fit the simulator."""
        config = self._config(model, self._tasks[0], self._objects[0])
        make_env(config, self._tasks[0], self._objects[0], _agent(model, config)).close()

    def success(self, model: WorldModel) -> dict[str, float]:
        """Success rates, 0 to 1, by task and object."""
        return {
            f"{task}_{object_name}": self._share(model, self._config(model, task, object_name))
            for task in self._tasks
            for object_name in self._objects
        }

    def _config(self, model: WorldModel, task: str, object_name: str) -> EvaluationConfig:
        gripper = next(iter(sorted(model.card.grippers())), "robotiq")
        size = max(256, model.card.transform.size)
        return EvaluationConfig(
            tasks=(task,), objects=(object_name,), episodes=self._episodes, seed=TRIAL_SEED, gripper=gripper, size=size
        )

    def _share(self, model: WorldModel, config: EvaluationConfig) -> float:
        agent = _agent(model, config)
        env = make_env(config, config.tasks[0], config.objects[0], agent)
        try:
            seeds, _ = usable_seeds(env, config.seed, config.episodes)
            return float(np.mean([run_episode(agent, env, seed)[0].success for seed in seeds]))
        finally:
            env.close()


def _agent(model: WorldModel, config: EvaluationConfig) -> MPCAgent:
    return MPCAgent(model, planner_for(model, "default"), default_limits(config.gripper))
