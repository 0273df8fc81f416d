"""The interface of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vjepa_sim.envs.observation import Goal, Observation

if TYPE_CHECKING:
    from vjepa_sim.card import Card


class Agent(Protocol):
    """Maps images, the arm's own state and goal images to actions.

    Attributes:
        model_evaluations: predictor evaluations for the last action, one per sample and step of the horizon.
        current_goal: index of the goal that the last action was toward.
    """

    model_evaluations: int
    current_goal: int

    def begin(self, goals: list[Goal]) -> None:
        """Start an episode.

        Args:
            goals: goal images, in order.
        """
        ...

    def act(self, observation: Observation) -> np.ndarray:
        """The next action, float32 [7], see :mod:`vjepa_sim.envs.pose`."""
        ...


class Model(Protocol):
    """The trained model of an agent."""

    @property
    def card(self) -> Card:
        """Provenance and requirements of the model."""
        ...

    def to(self, device: Any) -> Any:
        """Move the weights to a device."""
        ...


@runtime_checkable
class LearnedAgent(Agent, Protocol):
    """An agent with a trained model that has a card."""

    @property
    def model(self) -> Model:
        """The trained model."""
        ...


def card_of(agent: Agent | None) -> Card | None:
    """Card of the agent's model; None for reference policies and for models of other projects."""
    return agent.model.card if isinstance(agent, LearnedAgent) else None
