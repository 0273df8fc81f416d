"""Evaluation of the planner during training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vjepa_sim.agents.evaluation.config import EvaluationConfig
from vjepa_sim.agents.evaluation.evaluate import make_env, run_episode, usable_seeds
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import planner_for
from vjepa_sim.agents.registry import DEFAULT_PLANNER
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.safety import default_limits
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.protocols import LatentDynamics

TRIAL_SEED = 1_000_000  # first seed, apart from those of reported evaluations


class Trial:
    """Evaluates the planner on each task with each object that suits it, with the goals ``paper``; see
    :class:`.PlanTrial`.

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
            UserError: a number is below 1, or a task is unknown.
        """
        if every < 1 or episodes < 1:
            raise UserError(f"Evaluations every {every} steps with {episodes} episodes: both must be at least 1.")
        self.every = every
        self._config = EvaluationConfig(
            tasks=tasks or tuple(TASKS), baselines=(), episodes=episodes, seed=TRIAL_SEED, videos=0
        )

    def check(self, model: LatentDynamics) -> None:
        """Raise :class:`.UserError` if the model does not fit the simulator."""
        config = self._config_of(model)
        make_env(config, *config.pairs[0], _agent(model, config)).close()

    def success(self, model: LatentDynamics) -> dict[str, float]:
        """Success rates, 0 to 1, by task and object."""
        config = self._config_of(model)
        return {f"{task}_{name}": _share(model, config, task, name) for task, name in config.pairs}

    def _config_of(self, model: LatentDynamics) -> EvaluationConfig:
        """The evaluation with the model's arm, gripper and image size."""
        card, config = model.card, self._config
        return replace(
            config,
            arm=min(card.arms(), default=config.arm),
            gripper=min(card.grippers(), default=config.gripper),
            size=max(config.size, card.transform.size),
        )


def _share(model: LatentDynamics, config: EvaluationConfig, task: str, object_name: str) -> float:
    agent = _agent(model, config)
    env = make_env(config, task, object_name, agent)
    try:
        seeds, _ = usable_seeds(env, config.seed, config.episodes)
        return float(np.mean([run_episode(agent, env, seed)[0].success for seed in seeds]))
    finally:
        env.close()


def _agent(model: LatentDynamics, config: EvaluationConfig) -> MPCAgent:
    return MPCAgent(model, planner_for(model, DEFAULT_PLANNER), default_limits(config.arm, config.gripper))
