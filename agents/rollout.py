"""The loop in which an agent acts, shared by evaluation, deployment and collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vjepa_sim.agents.agent import Agent
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.goal_image_env import GoalImageEnv
from vjepa_sim.envs.pose import ACTION_DIM


@dataclass(frozen=True)
class Step:
    """One environment step.

    Attributes:
        number: number of the step, from 1 on.
        action: action that the agent returned, float32 [7].
        info: ``info`` of the environment after the step.
        seconds: wall time of the agent's decision.
    """

    number: int
    action: np.ndarray
    info: dict[str, Any]
    seconds: float


def rollout(env: GoalImageEnv, agent: Agent, on_step: Callable[[Step], bool | None], steps: int | None = None) -> None:
    """Let an agent act in one episode.

    The agent is given the images of the goals only, not the arm's states in them.

    Args:
        env: environment, unwrapped and freshly reset.
        agent: agent; its episode is started here.
        on_step: called after every step; returning True ends the episode.
        steps: maximum number of steps; the environment's budget if None.

    Raises:
        UserError: a plugin's agent fails, or its action does not have shape (7,).
        ArmFault: a fault stopped the arm.
    """
    name = f"Agent {type(agent).__name__!r}"
    goals = [goal.image_alone() for goal in env.goals]
    with naming_part(name, type(agent)):
        agent.begin(goals)
    for number in range(1, (env.budget if steps is None else steps) + 1):
        before = time.perf_counter()
        with naming_part(name, type(agent)):
            action = agent.act(env.observation)
        seconds = time.perf_counter() - before
        if np.shape(action) != (ACTION_DIM,):
            raise UserError(f"{name} returned an action of shape {np.shape(action)}; expected ({ACTION_DIM},).")
        _check_counters(name, agent, len(goals))
        *_, info = env.step(action)
        if on_step(Step(number, action, info, seconds)):
            return


def _check_counters(name: str, agent: Agent, goals: int) -> None:
    """Refuse what tables and videos can't show."""
    goal, evaluations = agent.current_goal, agent.model_evaluations
    if not isinstance(goal, int | np.integer) or not 0 <= goal < goals:
        raise UserError(f"{name} has current_goal {goal!r}; expected the index of one of {goals} goals.")
    if not isinstance(evaluations, int | float | np.number) or not 0 <= evaluations < np.inf:
        raise UserError(f"{name} has model_evaluations {evaluations!r}; expected a number of at least 0.")
