"""The goal-conditioned form of an environment, as hindsight experience replay needs it (arXiv 1707.01495)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import STATE_DIM
from vjepa_sim.envs.sim_env import SimEnv


class HindsightSimEnv(SimEnv):
    """A :class:`.SimEnv` with ``compute_reward``, which libraries look for in ``env.unwrapped`` and nowhere else.

    The others lack it: Stable-Baselines3 takes each environment that has it for a goal-conditioned one.
    """

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: object = None) -> np.ndarray:
        """See :meth:`GoalConditioned.compute_reward`."""
        return self.reward_of(achieved_goal, desired_goal)


class GoalConditioned(gymnasium.Wrapper):
    """A :class:`.SimEnv` whose observation holds the achieved and the desired goal as vectors.

    Observation (a dict of float64): ``observation``, the arm's state [7] followed by the object's position [3];
    ``achieved_goal`` and ``desired_goal`` [K], the task's measurements (:meth:`.Task.achieved`). All but the state are
    privileged: this is for learning from the simulator's state, not for agents under evaluation. The reward is that of
    the :class:`.SimEnv`.
    """

    def __init__(self, env: SimEnv):
        """
        Args:
            env: environment in the simulator, without wrappers.

        Raises:
            UserError: it is another environment, or wrapped.
        """
        if not isinstance(env, SimEnv):
            raise UserError(
                f"The goal-conditioned form is of a SimEnv without wrappers; a {type(env).__name__} was given. Use "
                "gymnasium.make(…, goal_conditioned=True), and wrap the result."
            )
        super().__init__(env)
        self._env = env
        measured = len(env.task.measures)
        sizes = {"observation": STATE_DIM + 3, "achieved_goal": measured, "desired_goal": measured}
        self.observation_space = gymnasium.spaces.Dict(
            {name: gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64) for name, size in sizes.items()}
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """See :meth:`.GoalImageEnv.reset`; the observation is as described for the class.

        Raises:
            UserError: as there; or a goal image is given, which would have no effect.
        """
        for name in ("goal", "goals"):
            if isinstance(options, dict) and name in options:
                raise UserError(
                    f"Reset option {name!r} has no effect in the goal-conditioned form, whose desired goal is a vector "
                    "of the task. Leave it out, or make the environment without goal_conditioned=True."
                )
        _, info = self.env.reset(seed=seed, options=options)
        return self._observe(), info

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """See :meth:`.GoalImageEnv.step`; the observation is as described for the class."""
        _, reward, terminated, truncated, info = self.env.step(action)
        return self._observe(), float(reward), terminated, truncated, info

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: object = None) -> np.ndarray:
        """Reward [...] of achieved and desired goals [..., K]; for the goals of an observation, that of its step.

        Args:
            achieved_goal: achieved goals, in the units of :attr:`.Task.measures`.
            desired_goal: desired goals.
            info: unused; learners give it.
        """
        return self._env.reward_of(achieved_goal, desired_goal)

    def _observe(self) -> dict[str, np.ndarray]:
        env = self._env
        if env.progress is None:
            raise gymnasium.error.ResetNeeded("Call reset() first.")
        return {
            "observation": np.concatenate([env.observation.state, env.simulation.object_position()]),
            "achieved_goal": env.progress.achieved.copy(),
            "desired_goal": env.progress.desired.copy(),
        }
