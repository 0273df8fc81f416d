"""How an agent sees: pictures as latents, and what is read off them, put right where the camera was moved."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vjepa_sim.heads import state_target, unshifted, view_shift
from vjepa_sim.world_model import WorldModel


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

    The arm knows where its hand is, and the picture shows it somewhere: where the two differ by more than readings
    usually do, the camera was moved, and the object and the goal are as far off. So whatever is read is shifted back.

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
        """What the decoders read off latents [..., tokens, dim] of this camera's pictures [..., 4 or 7], in the arm's
        frame.
        """
        return None if self.shift is None else unshifted(self.model.read(z), self.shift)

    def scene(self, z: torch.Tensor) -> Scene:
        """Latents [tokens, dim] of this camera's pictures, seen or imagined, with what is read off them."""
        return Scene(z, self.read(z))


class Eyes:
    """Look at an episode's pictures, one after another.

    The camera stands still meanwhile, so it is shifted by no more than every one of them shows: where the newest alone
    counted, a hand at the edge of what the decoder knows would be misread, the goal taken to be farther out, and the
    hand led away.
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
