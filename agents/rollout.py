"""The one loop in which an agent acts: evaluation, deployment and collection all use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vjepa_sim.agents.agent import Agent
from vjepa_sim.envs.goal_image_env import GoalImageEnv


@dataclass(frozen=True)
class Step:
    """One step that was taken.

    Attributes:
        number: from 1 on.
        action: what the agent asked for, float32 [7].
        info: the environment's.
        seconds: the agent's, to decide.
    """

    number: int
    action: np.ndarray
    info: dict[str, Any]
    seconds: float


def rollout(env: GoalImageEnv, agent: Agent, on_step: Callable[[Step], bool | None], steps: int | None = None) -> None:
    """Let an agent act from where the environment was reset to.

    The agent is shown the goals' images and no more of them.

    Args:
        env: unwrapped, freshly reset.
        agent: begins here.
        on_step: called after every step; True ends the episode.
        steps: at most; the environment's budget if not given.

    Raises:
        ArmFault: what stopped the arm.
    """
    agent.begin([goal.image_alone() for goal in env.goals])
    for number in range(1, (env.budget if steps is None else steps) + 1):
        before = time.perf_counter()
        action = agent.act(env.observation)
        seconds = time.perf_counter() - before
        *_, info = env.step(action)
        if on_step(Step(number, action, info, seconds)):
            return
