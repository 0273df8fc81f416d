"""The interface of a world model: any model that implements it can be planned with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from vjepa_sim.card import Card
    from vjepa_sim.models.goal_policy import GoalPolicy


class LatentDynamics(Protocol):
    """Predict in latent space what actions lead to.

    A subclass inherits the defaults of everything optional: a model without decoders and goal policy implements
    :meth:`encode`, :meth:`rollout`, :meth:`to`, a card and a device.

    Attributes:
        card: Requirements of the model (image size, period, gripper) and its provenance.
        goal_policy: Policy that proposes actions toward a goal image, or None.
        imagines: Whether :meth:`rollout` works; a checkpoint of stage one has only an encoder.
    """

    if TYPE_CHECKING:  # read-only for type checkers, so that a model may have a card of a narrower class

        @property
        def card(self) -> Card:
            """Requirements and provenance."""
            ...

        @property
        def goal_policy(self) -> GoalPolicy | None:
            """Policy toward a goal image."""
            ...

        @property
        def imagines(self) -> bool:
            """Whether :meth:`rollout` works."""
            ...

    else:
        goal_policy = None
        imagines = True

    @property
    def device(self) -> torch.device:
        """Device of weights and latents."""
        ...

    def to(self, device: Any) -> Any:
        """Move the weights to a device."""
        ...

    def encode(self, rgb: np.ndarray) -> torch.Tensor:
        """Encode images, uint8 [H, W, 3] or [B, H, W, 3], into latents, float32 [B, tokens, dim]."""
        ...

    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Roll out N sequences of H actions from one latent.

        Args:
            z: Current latent [tokens, dim].
            state: Current state of the arm [7].
            actions: Action sequences [N, H, 7], metres, radians, closedness, in the base frame.

        Returns:
            Latents after each step [N, H, tokens, dim].
        """
        ...

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """Decode the arm's and the object's position from latents.

        Args:
            z: Latents [..., tokens, dim], encoded or predicted.

        Returns:
            [..., 4 or 7] in the units of :mod:`vjepa_sim.models.heads`: position of the flange, closedness and, with an
            object decoder, position of the object; None without decoders.
        """
        return None

    def decode(self, z: torch.Tensor) -> torch.Tensor | None:
        """Decode latents [B, tokens, dim] to normalised images [B, 3, H, W]; None without a pixel decoder."""
        return None
