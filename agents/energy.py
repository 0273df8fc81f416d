"""What a planner minimises: how far imagined ends are from a goal."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from envs.pose import ACTION_DIM
from vjepa_sim.heads import state_target, unshifted, view_shift
from vjepa_sim.rotation import integrate
from vjepa_sim.world_model import WorldModel


@dataclass(frozen=True)
class EnergyConfig:
    """Weights of the energy's terms; 0 leaves one out, and so do models without the part that it needs.

    Attributes:
        features: of the features' mean absolute difference, which is all of the paper's energy.
        hand: of the distance from where the actions put the hand to where the state decoder sees it in the goal image, per
            10 cm.
        grip: likewise of the fingers', per full closing.
        object: of the distance between the objects that the decoder reads off the imagined end and the goal, per 10 cm.
        steps: of the periods that the goal policy expects to be left at the imagined end.
        proposal: of the squared distance from what the goal policy would do, per step limit.
    """

    features: float = 1.0
    hand: float = 0.2
    grip: float = 0.2
    object: float = 0.2
    steps: float = 0.6
    proposal: float = 3.0


@dataclass(frozen=True)
class Scene:
    """What a model makes of a picture.

    Attributes:
        z: latents [tokens, dim].
        read: what the decoders read off them [4 or 7], in the arm's frame; None without decoders.
    """

    z: torch.Tensor
    read: torch.Tensor | None


@dataclass(frozen=True)
class Present:
    """What is known of the present moment.

    The arm knows where its hand is, and the picture shows it somewhere: where the two differ by more than readings usually
    do, the camera was moved, and the object and the goal are as far off. So whatever is read is shifted back.

    Attributes:
        model: that reads.
        z: latents of the picture [tokens, dim].
        state: the arm's [7].
        shift: by which the camera shifts what is read [3], in the decoders' units; None without decoders.
    """

    model: WorldModel
    z: torch.Tensor
    state: torch.Tensor
    shift: torch.Tensor | None

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """What the decoders read off latents [..., tokens, dim] of this camera's pictures [..., 4 or 7], in the arm's frame."""
        return None if self.shift is None else unshifted(self.model.read(z), self.shift)

    def scene(self, z: torch.Tensor) -> Scene:
        """Latents [tokens, dim] of this camera's pictures, seen or imagined, with what is read off them."""
        return Scene(z, self.read(z))


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


def _feature_distance(end: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    return (end - goal).abs().mean((1, 2)).cpu()


class Eyes:
    """Look at an episode's pictures, one after another.

    The camera stands still meanwhile, so it is shifted by no more than every one of them shows: where the newest alone counted,
    a hand at the edge of what the decoder knows would be misread, the goal taken to be farther out, and the hand led away.
    """

    def __init__(self, model: WorldModel, correct: bool, newest_only: bool = False):
        """
        Args:
            model: that reads.
            correct: whether readings are shifted back.
            newest_only: judge by the newest picture, for cameras whose shift differs from place to place.
        """
        self._model, self._correct, self._newest_only = model, correct, newest_only
        self._offs: list[torch.Tensor] = []

    def look(self, rgb, state: torch.Tensor) -> Present:
        """Look at a picture, uint8 [H, W, 3], with the arm in a state [7]."""
        model = self._model
        z = model.encode(rgb)[0]
        if model.state_decoder is None:
            return Present(model, z, state, None)
        self._offs.append(model.read(z)[:3].cpu() - state_target(state)[:3])
        offs = torch.stack(self._offs[-1:] if self._newest_only else self._offs)
        least = offs[offs.norm(dim=1).argmin()]
        shift = view_shift(least) if self._correct else torch.zeros(3)
        return Present(model, z, state, shift.to(z.device))


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

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Energies [N] of action sequences [N, H, 7]."""
        config, present, goal, model = self._config, self._present, self._goal, self._present.model
        end = model.rollout(present.z, present.state, actions)[:, -1]
        energy = config.features * _feature_distance(end, goal.z)
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
            if config.steps:
                energy = energy + config.steps * self._steps_left(end, state).cpu()
        return energy

    def _steps_left(self, end: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """What the goal policy expects at imagined ends [N, tokens, dim] with the arm at states [N, 7]."""
        policy, goal, count = self._present.model.goal_policy, self._goal, len(end)
        goal_z, goal_read = goal.z.expand(count, -1, -1), goal.read.expand(count, -1)
        return policy(end, self._present.read(end), state.to(end.device), goal_z, goal_read).steps
