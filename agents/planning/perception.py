"""Perception of planning agents: latents, and decoder readings corrected for a displaced camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vjepa_sim.models.heads import state_target, unshifted, view_shift
from vjepa_sim.protocols import LatentDynamics


@dataclass(frozen=True)
class Percept:
    """Latents of an image, encoded or predicted, and the positions decoded from them.

    Attributes:
        z: latents [tokens, dim].
        readings: decoded flange position, closedness and, with an object decoder, object position [4 or 7], in the
            units of :mod:`vjepa_sim.models.heads` and the base frame; None without decoders.
    """

    z: torch.Tensor
    readings: torch.Tensor | None


@dataclass(frozen=True)
class Situation:
    """Latents of the present image and the arm's measured state.

    If the flange's decoded position differs from its measured one by more than decoders usually err, the camera is
    displaced, and decoded positions of object and goal are off by the same vector. It is subtracted from all readings.

    Attributes:
        model: world model with the decoders.
        z: latents of the image [tokens, dim].
        state: state of the arm [7].
        shift: error of decoded positions [3] that the camera causes, in the decoders' units; None without decoders.
    """

    model: LatentDynamics
    z: torch.Tensor
    state: torch.Tensor
    shift: torch.Tensor | None

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """Decode latents [..., tokens, dim] of this camera's images to corrected readings [..., 4 or 7]."""
        readings = None if self.shift is None else self.model.read(z)
        return None if readings is None or self.shift is None else unshifted(readings, self.shift)

    def percept(self, z: torch.Tensor) -> Percept:
        """Latents [tokens, dim] of this camera's images, encoded or predicted, with their readings."""
        return Percept(z, self.read(z))


class Perception:
    """Encodes the images of an episode, one after another.

    The camera is fixed during an episode, so the smallest shift over all images so far is used. With the newest image
    alone, a decoding error at the edge of the workspace would count as a shift of the camera, and move the goal.
    """

    def __init__(self, model: LatentDynamics, correct: bool, newest_only: bool = False):
        """
        Args:
            model: world model with the decoders.
            correct: whether readings are corrected for a displaced camera.
            newest_only: whether the shift is that of the newest image; for cameras whose shift depends on the position.
        """
        self._model, self._correct, self._newest_only = model, correct, newest_only
        self._offs: list[torch.Tensor] = []

    def perceive(self, rgb: np.ndarray, state: torch.Tensor) -> Situation:
        """Encode an image, uint8 [H, W, 3], taken at the arm's state [7]."""
        z = self._model.encode(rgb)[0]
        readings = self._model.read(z)
        if readings is None:
            return Situation(self._model, z, state, None)
        self._offs.append(readings[:3].cpu() - state_target(state)[:3])
        offs = torch.stack(self._offs[-1:] if self._newest_only else self._offs)
        least = offs[offs.norm(dim=1).argmin()]
        shift = view_shift(least) if self._correct else torch.zeros(3)
        return Situation(self._model, z, state, shift.to(z.device))
