"""The contract of everything that acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vjepa_sim.envs.observation import Goal, Observation

if TYPE_CHECKING:
    from vjepa_sim.card import Card


class Agent(Protocol):
    """Images, the arm's own state and goal images in; actions out.

    Attributes:
        model_evaluations: predictor evaluations behind the last action, one per sample and imagined step.
        current_goal: number of the goal that the last action was toward.
    """

    model_evaluations: int
    current_goal: int

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode with these goals, in order."""
        ...

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7]."""
        ...


class Model(Protocol):
    """What an agent has learned.

    Attributes:
        card: see :class:`.Card`.
    """

    card: Card

    def to(self, device: Any) -> Any:
        """Put its weights on a device."""
        ...


@runtime_checkable
class LearnedAgent(Agent, Protocol):
    """An agent that acts with a checkpoint whose card is known.

    Attributes:
        model: what was learned.
    """

    model: Model


def card_of(agent: Agent | None) -> Card | None:
    """The card of what the agent acts with; reference policies and others' policies have none."""
    return agent.model.card if isinstance(agent, LearnedAgent) else None
