"""The interfaces that every encoder and every action-conditioned predictor has; see :mod:`vjepa_sim.networks`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class ImageEncoder(nn.Module):
    """Images to latents.

    Attributes:
        config: Sizes of the encoder.
    """

    config: Any

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Encode single images.

        Args:
            images: Normalised images [B, 3, H, W].

        Returns:
            Latents [B, tokens, dim].
        """
        raise NotImplementedError


class LatentPredictor(nn.Module):
    """Latents that actions lead to.

    Attributes:
        config: Sizes of the predictor.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`; predictors without it ignore
            this.
    """

    config: Any
    recompute: bool = False

    def imagine(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Roll out N sequences of H actions from one latent.

        Args:
            z: Current latent [tokens, dim].
            state: Current state of the arm [7].
            actions: Action sequences [N, H, 7].

        Returns:
            Latents after each step [N, H, tokens, dim].
        """
        raise NotImplementedError
