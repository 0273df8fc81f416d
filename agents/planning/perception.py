"""How a planning agent perceives: images as latents, and readings corrected where the camera was moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vjepa_sim.models.heads import state_target, unshifted, view_shift
from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True)
class Percept:
    """What a model makes of an image.

    Attributes:
        z: latents [tokens, dim].
        readings: what the decoders read off them [4 or 7], in the arm's frame; None without decoders.
    """

    z: torch.Tensor
    readings: torch.Tensor | None


@dataclass(frozen=True)
class Situation:
    """What is known of the present moment.

    The arm knows where its flange is, and the image shows it somewhere: where the two differ by more than readings
    usually do, the camera was moved, and object and goal are as far off. So whatever is read is shifted back.

    Attributes:
        model: that reads.
        z: latents of the image [tokens, dim].
        state: the arm's [7].
        shift: by which the camera shifts what is read [3], in the decoders' units; None without decoders.
    """

    model: LatentDynamics
    z: torch.Tensor
    state: torch.Tensor
    shift: torch.Tensor | None

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """What the decoders read off latents [..., tokens, dim] of this camera's images, in the arm's frame."""
        readings = None if self.shift is None else self.model.read(z)
        return None if readings is None or self.shift is None else unshifted(readings, self.shift)

    def percept(self, z: torch.Tensor) -> Percept:
        """Latents [tokens, dim] of this camera's images, seen or imagined, with what is read off them."""
        return Percept(z, self.read(z))


class Perception:
    """Perceives an episode's images, one after another.

    The camera stands still meanwhile, so it is shifted by no more than every one of them shows: where the newest alone
    counted, a gripper at the edge of what the decoder knows would be misread, the goal taken to be farther out, and the
    arm led away.
    """

    def __init__(self, model: LatentDynamics, correct: bool, newest_only: bool = False):
        """
        Args:
            model: that reads.
            correct: whether readings are shifted back.
            newest_only: judge by the newest image, for cameras whose shift differs from place to place.
        """
        self._model, self._correct, self._newest_only = model, correct, newest_only
        self._offs: list[torch.Tensor] = []

    def perceive(self, rgb: np.ndarray, state: torch.Tensor) -> Situation:
        """From an image, uint8 [H, W, 3], and the arm's state [7]."""
        z = self._model.encode(rgb)[0]
        readings = self._model.read(z)
        if readings is None:
            return Situation(self._model, z, state, None)
        self._offs.append(readings[:3].cpu() - state_target(state)[:3])
        offs = torch.stack(self._offs[-1:] if self._newest_only else self._offs)
        least = offs[offs.norm(dim=1).argmin()]
        shift = view_shift(least) if self._correct else torch.zeros(3)
        return Situation(self._model, z, state, shift.to(z.device))
