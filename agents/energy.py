"""What a planner minimises: how far imagined ends are from a goal."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agents.eyes import Present, Scene
from envs.pose import ACTION_DIM
from vjepa_sim.heads import state_target
from vjepa_sim.rotation import integrate
from vjepa_sim.world_model import WorldModel


@dataclass(frozen=True)
class EnergyConfig:
    """Weights of the energy's terms; 0 leaves one out, and so do models without the part that it needs.

    Attributes:
        features: of the features' mean absolute difference, which is all of the paper's energy.
        squared: that difference is squared, as DINO-WM and LeWM have it.
        pixels: of the mean absolute difference of pictures that are given back of imagined end and goal.
        hand: of the distance from where the actions put the hand to where the state decoder sees it in the goal image,
            per 10 cm.
        grip: likewise of the fingers', per full closing.
        object: of the distance between the objects that the decoder reads off the imagined end and the goal, per 10 cm.
        steps: of the periods that the goal policy expects to be left at the imagined end.
        proposal: of the squared distance from what the goal policy would do, per step limit.
    """

    features: float = 1.0
    squared: bool = False
    pixels: float = 0.0
    hand: float = 0.2
    grip: float = 0.2
    object: float = 0.2
    steps: float = 0.6
    proposal: float = 3.0


def feature_distance(
    model: WorldModel, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor, goal: torch.Tensor
) -> torch.Tensor:
    """How far imagined ends are from a goal, as the paper's planner measures it.

    Args:
        model: that imagines.
        z: the present's latent [tokens, dim].
        state: the arm's [7].
        actions: [N, H, 7].
        goal: the goal's latent [tokens, dim].

    Returns:
        Mean absolute differences of features [N], on the CPU: what is done with them is too small for a GPU.
    """
    return _feature_distance(model.rollout(z, state, actions)[:, -1], goal)


def _feature_distance(end: torch.Tensor, goal: torch.Tensor, squared: bool = False) -> torch.Tensor:
    off = end - goal
    return (off.square() if squared else off.abs()).mean((1, 2)).cpu()


class Energy:
    """The weighted sum of the terms for one present and one goal; a :data:`agents.cem.Cost`."""

    def __init__(
        self,
        config: EnergyConfig,
        present: Present,
        goal: Scene,
        proposal: torch.Tensor | None,
        bound: torch.Tensor,
    ):
        """
        Args:
            config: weights.
            present: where actions begin.
            goal: where to.
            proposal: the goal policy's actions [H, 7], or None.
            bound: the step limits [7], 0 where nothing is searched.
        """
        self._config, self._present, self._goal = config, present, goal
        self._proposal, self._bound = proposal, bound
        self._goal_picture = present.model.pixel_decoder(goal.z[None]) if config.pixels else None

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Energies [N] of action sequences [N, H, 7]."""
        config, present, goal, model = self._config, self._present, self._goal, self._present.model
        end = model.rollout(present.z, present.state, actions)[:, -1]
        energy = config.features * _feature_distance(end, goal.z, config.squared)
        if config.pixels:
            energy = (
                energy + config.pixels * (model.pixel_decoder(end) - self._goal_picture).abs().mean((1, 2, 3)).cpu()
            )
        if goal.read is None:  # a released model reads nothing: features alone, as its authors plan
            return energy
        state = present.state.expand(len(actions), ACTION_DIM)
        for action in actions.unbind(1):
            state = integrate(state, action)
        moved, wanted = state_target(state), goal.read.cpu()
        energy = energy + config.hand * (moved[:, :3] - wanted[:3]).norm(dim=1)
        energy = energy + config.grip * (moved[:, 3] - wanted[3]).abs()
        if config.object and model.object_decoder is not None:
            energy = energy + config.object * (present.read(end)[:, 4:] - goal.read[4:]).norm(dim=1).cpu()
        if self._proposal is not None:
            searched = self._bound > 0
            off = (actions - self._proposal)[..., searched] / self._bound[searched]
            energy = energy + config.proposal * off.square().sum(-1).mean(1)
        if config.steps and model.goal_policy is not None:
            energy = energy + config.steps * self._steps_left(end, state).cpu()
        return energy

    def _steps_left(self, end: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """What the goal policy expects at imagined ends [N, tokens, dim] with the arm at states [N, 7]."""
        policy, goal, count = self._present.model.goal_policy, self._goal, len(end)
        goal_z, goal_read = goal.z.expand(count, -1, -1), goal.read.expand(count, -1)
        return policy(end, self._present.read(end), state.to(end.device), goal_z, goal_read).steps
