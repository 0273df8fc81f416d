"""What a planner minimises: how far imagined outcomes are from a goal, a weighted sum of terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from vjepa_sim.agents.planning.perception import Percept, Situation
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import ACTION_DIM
from vjepa_sim.envs.registry import Registry
from vjepa_sim.models.heads import state_target
from vjepa_sim.models.rotation import integrate
from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True)
class Imagined:
    """What a term of the energy is computed from: N imagined outcomes of action sequences, and the goal.

    Attributes:
        situation: where actions begin.
        goal: where to.
        actions: [N, H, 7].
        end: latents after the last step [N, tokens, dim].
        proposal: the goal policy's actions [H, 7], or None.
        bound: the step limits [7], 0 where nothing is searched.
    """

    situation: Situation
    goal: Percept
    actions: torch.Tensor
    end: torch.Tensor
    proposal: torch.Tensor | None
    bound: torch.Tensor

    @property
    def model(self) -> LatentDynamics:
        """What imagines."""
        return self.situation.model

    @cached_property
    def state(self) -> torch.Tensor:
        """The arm's states after the last step [N, 7], by integrating the actions."""
        state = self.situation.state.expand(len(self.actions), ACTION_DIM)
        for action in self.actions.unbind(1):
            state = integrate(state, action)
        return state

    @cached_property
    def readings(self) -> torch.Tensor | None:
        """What the decoders read off the imagined ends [N, 4 or 7]; None without decoders."""
        return self.situation.read(self.end)


@dataclass(frozen=True)
class EnergyTerm:
    """One term.

    Attributes:
        name: by which weights are given.
        distance: from what was imagined to distances [N] on the CPU; None where the model lacks what the term needs,
            and the term is left out.
    """

    name: str
    distance: Callable[[Imagined], torch.Tensor | None]


ENERGY_TERMS: Registry[EnergyTerm] = Registry("energy term")

Weights = dict[str, float]  # of terms by name, in the order in which they are summed; 0 leaves one out


class Energy:
    """The weighted sum of terms for one situation and one goal; a :data:`.Cost`."""

    def __init__(
        self,
        weights: Weights,
        situation: Situation,
        goal: Percept,
        proposal: torch.Tensor | None,
        bound: torch.Tensor,
    ):
        """
        Args:
            weights: of the terms.
            situation: where actions begin.
            goal: where to.
            proposal: the goal policy's actions [H, 7], or None.
            bound: the step limits [7], 0 where nothing is searched.

        Raises:
            UserError: there is no such term.
        """
        self._terms = [(ENERGY_TERMS[name], weight) for name, weight in weights.items() if weight]
        self._situation, self._goal = situation, goal
        self._proposal, self._bound = proposal, bound

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Energies [N] of action sequences [N, H, 7]."""
        situation = self._situation
        end = situation.model.rollout(situation.z, situation.state, actions)[:, -1]
        imagined = Imagined(situation, self._goal, actions, end, self._proposal, self._bound)
        energy: torch.Tensor | None = None
        for term, weight in self._terms:
            distance = term.distance(imagined)
            if distance is not None:
                energy = weight * distance if energy is None else energy + weight * distance
        if energy is None:
            return actions.new_zeros(len(actions))
        return energy


def feature_distance(
    model: LatentDynamics, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor, goal: torch.Tensor
) -> torch.Tensor:
    """How far imagined outcomes are from a goal, as the paper's planner measures it.

    Args:
        model: that imagines.
        z: latent of the present [tokens, dim].
        state: the arm's [7].
        actions: [N, H, 7].
        goal: latent of the goal [tokens, dim].

    Returns:
        Mean absolute differences of features [N], on the CPU: what is done with them is too small for a GPU.
    """
    return (model.rollout(z, state, actions)[:, -1] - goal).abs().mean((1, 2)).cpu()


def check_terms(model: LatentDynamics, weights: Weights) -> None:
    """Refuse terms that a model can't have.

    Raises:
        UserError: there is no such term, or the term is all about what the model hasn't.
    """
    ENERGY_TERMS.check(*weights)
    if weights.get("pixels") and model.decode(model.encode(_blank(model))) is None:
        raise UserError(
            f"Nothing gives images back of what checkpoint {model.card.name!r} imagines; choose another planner than "
            "pixels."
        )
    policy = model.goal_policy
    if weights.get("steps") and policy is not None and policy.config.inverse:
        raise UserError(
            f"Checkpoint {model.card.name!r} is an inverse model and doesn't tell how many steps are left; choose "
            "another planner."
        )


def _blank(model: LatentDynamics):
    import numpy as np

    size = model.card.transform.size
    return np.zeros((size, size, 3), np.uint8)


# --- terms --------------------------------------------------------------------------------------------------------


def _features(imagined: Imagined) -> torch.Tensor:
    """Mean absolute difference of features: all of the paper's energy."""
    return (imagined.end - imagined.goal.z).abs().mean((1, 2)).cpu()


def _squared_features(imagined: Imagined) -> torch.Tensor:
    """Mean squared difference of features, as DINO-WM and LeWM have it."""
    return (imagined.end - imagined.goal.z).square().mean((1, 2)).cpu()


def _pixels(imagined: Imagined) -> torch.Tensor | None:
    """Mean absolute difference of the images that are decoded from imagined end and goal."""
    end, goal = imagined.model.decode(imagined.end), imagined.model.decode(imagined.goal.z[None])
    return None if end is None or goal is None else (end - goal).abs().mean((1, 2, 3)).cpu()


def _end_effector(imagined: Imagined) -> torch.Tensor | None:
    """Distance from where the actions put the end effector to where it is read off the goal image, per 10 cm."""
    if imagined.goal.readings is None:
        return None
    return (state_target(imagined.state)[:, :3] - imagined.goal.readings.cpu()[:3]).norm(dim=1)


def _grip(imagined: Imagined) -> torch.Tensor | None:
    """Difference of the fingers' closedness, likewise, per full closing."""
    if imagined.goal.readings is None:
        return None
    return (state_target(imagined.state)[:, 3] - imagined.goal.readings.cpu()[3]).abs()


def _object(imagined: Imagined) -> torch.Tensor | None:
    """Distance between the objects that are read off imagined end and goal, per 10 cm."""
    readings, goal = imagined.readings, imagined.goal.readings
    if readings is None or goal is None or goal.shape[-1] <= 4:
        return None
    return (readings[:, 4:] - goal[4:]).norm(dim=1).cpu()


def _proposal(imagined: Imagined) -> torch.Tensor | None:
    """Squared distance from what the goal policy would do, per step limit."""
    if imagined.goal.readings is None or imagined.proposal is None:
        return None
    searched = imagined.bound > 0
    off = (imagined.actions - imagined.proposal)[..., searched] / imagined.bound[searched]
    return off.square().sum(-1).mean(1)


def _steps(imagined: Imagined) -> torch.Tensor | None:
    """Periods that the goal policy expects to be left at the imagined end."""
    policy, readings, goal = imagined.model.goal_policy, imagined.readings, imagined.goal
    if policy is None or readings is None or goal.readings is None:
        return None
    count = len(imagined.end)
    goal_z, goal_readings = goal.z.expand(count, -1, -1), goal.readings.expand(count, -1)
    state = imagined.state.to(imagined.end.device)
    return policy(imagined.end, readings, state, goal_z, goal_readings).steps.cpu()


for _name, _distance in {
    "features": _features,
    "squared-features": _squared_features,
    "pixels": _pixels,
    "end-effector": _end_effector,
    "grip": _grip,
    "object": _object,
    "proposal": _proposal,
    "steps": _steps,
}.items():
    ENERGY_TERMS.register(EnergyTerm(_name, _distance))
