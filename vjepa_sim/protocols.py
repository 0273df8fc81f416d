"""The contract of a world model: whatever keeps it can be planned with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from vjepa_sim.card import Card
    from vjepa_sim.models.goal_policy import GoalPolicy


class LatentDynamics(Protocol):
    """Imagine in feature space what images actions lead to.

    A class that names this one as its base inherits what isn't abstract: a model without decoders and policies of its
    own needs :meth:`encode`, :meth:`rollout`, a card and a device.

    Attributes:
        card: what the model expects (image size, period, gripper) and where it comes from.
        goal_policy: what would be done next toward a goal image, or None.
        imagines: whether :meth:`rollout` works; a checkpoint of stage one has an encoder only.
    """

    card: Card
    goal_policy: GoalPolicy | None = None
    imagines: bool = True

    @property
    def device(self) -> torch.device:
        """Where the latents are."""
        ...

    def to(self, device: Any) -> Any:
        """Put the weights on a device."""
        ...

    def encode(self, rgb: np.ndarray) -> torch.Tensor:
        """Images uint8 [H, W, 3] or [B, H, W, 3] to latents float32 [B, tokens, dim]."""
        ...

    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Imagine N sequences of actions from one present.

        Args:
            z: latent of the present [tokens, dim].
            state: the arm's [7].
            actions: [N, H, 7], metres, radians, closedness, base frame.

        Returns:
            The latents after each step [N, H, tokens, dim].
        """
        ...

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """What decoders read off latents [..., tokens, dim]: [..., 4 or 7] in the units of
        :mod:`vjepa_sim.models.heads`: the flange's position, the closedness and, if it can be told, the object's
        position. None without decoders.
        """
        return None

    def decode(self, z: torch.Tensor) -> torch.Tensor | None:
        """Latents [B, tokens, dim] to normalised images [B, 3, H, W]; None without a decoder."""
        return None
