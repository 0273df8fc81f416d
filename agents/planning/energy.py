"""Energy of action sequences: a weighted sum of distances between predicted outcomes and a goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from vjepa_sim.agents.planning.perception import Percept, Perception, Situation
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.pose import ACTION_DIM
from vjepa_sim.envs.registry import Registry
from vjepa_sim.models.heads import state_target
from vjepa_sim.models.rotation import integrate
from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True, kw_only=True)
class Imagined:
    """Predicted outcomes of N action sequences, and the goal; the input of the energy's terms.

    Attributes:
        situation: present latents and arm state, from which the actions start.
        goal: latents and readings of the goal image.
        actions: action sequences [N, H, 7].
        end: predicted latents after the last step [N, tokens, dim].
        proposal: actions of the goal policy [H, 7], or None.
        bound: step limits [7]; 0 in dimensions that are not searched.
    """

    situation: Situation
    goal: Percept
    actions: torch.Tensor
    end: torch.Tensor
    proposal: torch.Tensor | None
    bound: torch.Tensor

    @property
    def model(self) -> LatentDynamics:
        """World model of the prediction."""
        return self.situation.model

    @cached_property
    def state(self) -> torch.Tensor:
        """States of the arm after the last step [N, 7], by integrating the actions."""
        state = self.situation.state.expand(len(self.actions), ACTION_DIM)
        for action in self.actions.unbind(1):
            state = integrate(state, action)
        return state

    @cached_property
    def readings(self) -> torch.Tensor | None:
        """Decoder readings of the predicted ends [N, 4 or 7], see :class:`.Percept`; None without decoders."""
        return self.situation.read(self.end)


@dataclass(frozen=True)
class EnergyTerm:
    """One term of the energy.

    Attributes:
        name: name of the term, the key of its weight.
        distance: maps predicted outcomes to distances [N] on the CPU; returns None where the model lacks what the term
            needs, and the term is then left out.
        check: raises :class:`.UserError` for a model that must not be planned with by this term, not even without it.
    """

    name: str
    distance: Callable[[Imagined], torch.Tensor | None]
    check: Callable[[LatentDynamics], object] = lambda model: None


ENERGY_TERMS: Registry[EnergyTerm] = Registry("energy term", EnergyTerm)

Weights = dict[str, float]  # weights of terms by name, in the order of the sum; 0 leaves a term out


class Energy:
    """The weighted sum of terms for one situation and one goal; a :data:`.Cost`."""

    def __init__(
        self,
        weights: Weights,
        *,
        situation: Situation,
        goal: Percept,
        proposal: torch.Tensor | None,
        bound: torch.Tensor,
    ):
        """
        Args:
            weights: weight of each term.
            situation: present latents and arm state.
            goal: latents and readings of the goal image.
            proposal: actions of the goal policy [H, 7], or None.
            bound: step limits [7]; 0 in dimensions that are not searched.

        Raises:
            UserError: there is no such term.
        """
        self._terms = [(ENERGY_TERMS[name], weight) for name, weight in weights.items() if weight]
        self._situation, self._goal = situation, goal
        self._proposal, self._bound = proposal, bound

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Energies [N] of action sequences [N, H, 7].

        Raises:
            UserError: the model lacks what every term needs.
        """
        situation = self._situation
        return self.of(actions, situation.model.rollout(situation.z, situation.state, actions)[:, -1])

    def of(self, actions: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        """Energies [N] of action sequences [N, H, 7] that end at latents [N, tokens, dim]; raises as a call does."""
        imagined = Imagined(
            situation=self._situation,
            goal=self._goal,
            actions=actions,
            end=end,
            proposal=self._proposal,
            bound=self._bound,
        )
        energy: torch.Tensor | None = None
        for term, weight in self._terms:
            with naming_part(f"Energy term {term.name!r}", term.distance):
                distance = term.distance(imagined)
            if distance is not None:
                _check_distance(term.name, distance, len(actions))
                energy = weight * distance if energy is None else energy + weight * distance
        if energy is None:
            names = ", ".join(term.name for term, _ in self._terms)
            raise UserError(
                f"The planner has nothing to minimise: checkpoint {self._situation.model.card.name!r} or the planner "
                f"lacks what the energy's terms need ({names or 'there are none'}). Choose another planner, or give "
                f"another term of {', '.join(ENERGY_TERMS)} a weight."
            )
        return energy


def _check_distance(name: str, distance: object, plans: int) -> None:
    """Refuse what a term mustn't return, with its name."""
    if not isinstance(distance, torch.Tensor) or distance.shape != (plans,):
        given = tuple(distance.shape) if isinstance(distance, torch.Tensor) else type(distance).__name__
        raise UserError(f"Energy term {name!r} returned {given}; expected a tensor of {plans} distances, or None.")
    if not torch.isfinite(distance).all():
        raise UserError(f"Energy term {name!r} returned a distance that is not finite.")


def feature_distance(
    model: LatentDynamics, z: torch.Tensor, *, state: torch.Tensor, actions: torch.Tensor, goal: torch.Tensor
) -> torch.Tensor:
    """Distance between predicted outcomes and a goal: the energy of V-JEPA 2-AC.

    Args:
        model: world model.
        z: latent of the present [tokens, dim].
        state: state of the arm [7].
        actions: action sequences [N, H, 7].
        goal: latent of the goal [tokens, dim].

    Returns:
        Mean absolute differences of features [N], on the CPU, where such small tensors are faster.
    """
    return (model.rollout(z, state, actions)[:, -1] - goal).abs().mean((1, 2)).cpu()


def check_terms(model: LatentDynamics, weights: Weights, guided: bool) -> None:
    """Refuse an energy that a model does not support.

    Args:
        model: world model; it encodes one image.
        weights: weight of each term.
        guided: whether the search starts from the goal policy's proposal.

    Raises:
        UserError: there is no such term, the model must not be planned with by one of them (:attr:`EnergyTerm.check`),
            or it lacks what every term needs.
    """
    ENERGY_TERMS.check(*weights)
    for name, weight in weights.items():
        if weight:
            ENERGY_TERMS[name].check(model)
    with torch.no_grad():
        situation = Perception(model, correct=False).perceive(_blank(model), torch.zeros(ACTION_DIM))
        still = torch.zeros(1, 1, ACTION_DIM)
        proposal = still[0] if guided and model.goal_policy is not None else None
        goal = situation.percept(situation.z)
        energy = Energy(weights, situation=situation, goal=goal, proposal=proposal, bound=torch.ones(ACTION_DIM))
        energy.of(still, situation.z[None])  # a rollout may take long, and any latents do


def _blank(model: LatentDynamics) -> np.ndarray:
    """A black image of the model's size, uint8 [H, W, 3]."""
    size = model.card.transform.size
    return np.zeros((size, size, 3), np.uint8)


# --- terms --------------------------------------------------------------------------------------------------------


def _features(imagined: Imagined) -> torch.Tensor:
    """Mean absolute difference of features, the energy of V-JEPA 2-AC."""
    return (imagined.end - imagined.goal.z).abs().mean((1, 2)).cpu()


def _squared_features(imagined: Imagined) -> torch.Tensor:
    """Mean squared difference of features, the energy of DINO-WM and LeWM."""
    return (imagined.end - imagined.goal.z).square().mean((1, 2)).cpu()


def _pixels(imagined: Imagined) -> torch.Tensor | None:
    """Mean absolute difference of the images decoded from the predicted end and the goal."""
    end, goal = imagined.model.decode(imagined.end), imagined.model.decode(imagined.goal.z[None])
    return None if end is None or goal is None else (end - goal).abs().mean((1, 2, 3)).cpu()


def _end_effector(imagined: Imagined) -> torch.Tensor | None:
    """Distance of the end effector after the actions from its decoded position in the goal, in units of 10 cm."""
    if imagined.goal.readings is None:
        return None
    return (state_target(imagined.state)[:, :3] - imagined.goal.readings.cpu()[:3]).norm(dim=1)


def _grip(imagined: Imagined) -> torch.Tensor | None:
    """Difference of the closedness after the actions from its decoded value in the goal, 0 to 1."""
    if imagined.goal.readings is None:
        return None
    return (state_target(imagined.state)[:, 3] - imagined.goal.readings.cpu()[3]).abs()


def _object(imagined: Imagined) -> torch.Tensor | None:
    """Distance between the object's decoded positions in the predicted end and the goal, in units of 10 cm."""
    readings, goal = imagined.readings, imagined.goal.readings
    if readings is None or goal is None or goal.shape[-1] <= 4:
        return None
    return (readings[:, 4:] - goal[4:]).norm(dim=1).cpu()


def _proposal(imagined: Imagined) -> torch.Tensor | None:
    """Squared distance from the goal policy's actions, in units of the step limits."""
    if imagined.goal.readings is None or imagined.proposal is None:
        return None
    searched = imagined.bound > 0
    off = (imagined.actions - imagined.proposal)[..., searched] / imagined.bound[searched]
    return off.square().sum(-1).mean(1)


def _steps(imagined: Imagined) -> torch.Tensor | None:
    """Steps to the goal that the goal policy predicts at the predicted end."""
    policy, readings, goal = imagined.model.goal_policy, imagined.readings, imagined.goal
    if policy is None or readings is None or goal.readings is None:
        return None
    count = len(imagined.end)
    goal_z, goal_readings = goal.z.expand(count, -1, -1), goal.readings.expand(count, -1)
    state = imagined.state.to(imagined.end.device)
    return policy(imagined.end, readings, state, goal_z, goal_readings).steps.cpu()


def _check_decodes(model: LatentDynamics) -> None:
    if model.decode(model.encode(_blank(model))) is None:
        raise UserError(
            f"Checkpoint {model.card.name!r} has no pixel decoder for predicted latents; choose another planner than "
            "pixels."
        )


def _check_predicts_steps(model: LatentDynamics) -> None:
    policy = model.goal_policy
    if policy is not None and policy.config.inverse:
        raise UserError(
            f"Checkpoint {model.card.name!r} is an inverse model, which does not predict the steps left to a goal; "
            "choose another planner."
        )


for _term in (
    EnergyTerm("features", _features),
    EnergyTerm("squared-features", _squared_features),
    EnergyTerm("pixels", _pixels, _check_decodes),
    EnergyTerm("end-effector", _end_effector),
    EnergyTerm("grip", _grip),
    EnergyTerm("object", _object),
    EnergyTerm("proposal", _proposal),
    EnergyTerm("steps", _steps, _check_predicts_steps),
):
    ENERGY_TERMS.register(_term)
