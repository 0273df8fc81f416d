"""The world model: encoder, action-conditioned predictor, decoders, and the card that describes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from vjepa_sim.card import ModelCard, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, CardedModule, build, find_checkpoint, is_released
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.models.heads import ObjectDecoder, StateDecoder
from vjepa_sim.networks import make_encoder, make_mask_predictor, make_pixel_decoder, make_predictor
from vjepa_sim.released import ReleaseOptions, read_released
from vjepa_sim.weights import load_tensors, read_safetensors

LARGEST_RELEASED = 384  # pixels

Part = TypeVar("Part")


class WorldModel(CardedModule):
    """Predict in latent space what actions lead to.

    Attributes:
        card: Architecture, provenance and measurements, see :class:`.ModelCard`.
        encoder: Images and video to latents.
        predictor: Action-conditioned predictor; None after stage one.
        mask_predictor: Predictor of stage one; None after stage two.
        state_decoder, object_decoder, pixel_decoder: Decoders, see :mod:`vjepa_sim.models.heads`; None in released
            checkpoints.
        goal_policy: Policy toward goal images, see :mod:`vjepa_sim.models.goal_policy`, or None.
    """

    card: ModelCard

    def __init__(self, card: ModelCard):
        super().__init__()
        self.card = card
        self.encoder = make_encoder(card.encoder)
        self.mask_predictor = make_mask_predictor(card.mask_predictor, card.encoder) if card.mask_predictor else None
        self.state_decoder = StateDecoder(card.encoder) if card.decoders else None
        self.object_decoder = ObjectDecoder(card.encoder) if card.object_decoder else None
        self.pixel_decoder = make_pixel_decoder(card.encoder) if card.decoders else None
        self.predictor = make_predictor(card.predictor, card.encoder) if card.predictor else None
        policy = card.goal_policy
        self.goal_policy = GoalPolicy(policy, card.encoder, card.object_decoder) if policy else None

    @property
    def imagines(self) -> bool:
        """Whether there is an action-conditioned predictor, so that :meth:`rollout` works."""
        return self.predictor is not None

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    # --- using ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, rgb: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Encode images.

        Args:
            rgb: Images, uint8 [B, H, W, 3] or [H, W, 3].

        Returns:
            Latents [B, tokens, dim], layer-normed by encoders of V-JEPA 2's kind; B is 1 for a single image.
        """
        images = torch.as_tensor(rgb)
        inputs = self.card.transform(images if images.ndim == 4 else images[None])
        return self.encoder.still(inputs.to(self.device))

    def rollout(
        self, z: torch.Tensor, state: torch.Tensor | np.ndarray, actions: torch.Tensor | np.ndarray
    ) -> torch.Tensor:
        """Roll out N sequences of H actions from one latent.

        Args:
            z: Current latent [tokens, dim].
            state: Current state of the arm [7].
            actions: Action sequences [N, H, 7], metres, radians, closedness.

        Returns:
            Latents after each step [N, H, tokens, dim]; they have a gradient if the actions require one.

        Raises:
            UserError: There is no predictor, or a shape is wrong.
        """
        if self.predictor is None:
            raise UserError(
                f"Checkpoint {self.card.name!r} has no action-conditioned predictor; train one with `vjepa-sim train`."
            )
        z, state, actions = (
            torch.as_tensor(value, dtype=torch.float32, device=self.device) for value in (z, state, actions)
        )
        if z.ndim != 2 or state.shape != (7,) or actions.ndim != 3 or actions.shape[2] != 7:
            raise UserError(
                f"rollout() takes z [tokens, dim], state [7] and actions [N, H, 7]; given {tuple(z.shape)}, "
                f"{tuple(state.shape)} and {tuple(actions.shape)}."
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and actions.requires_grad):
            return self.predictor.imagine(z, state, actions)

    def read(self, z: torch.Tensor) -> torch.Tensor | None:
        """Decode the arm's and the object's position from latents, encoded or predicted.

        Args:
            z: Latents [..., tokens, dim].

        Returns:
            [..., 4 or 7] in the decoders' units: position of the flange, closedness and, with an object decoder,
            position of the object; None without decoders. They have a gradient if the latents require one.
        """
        if self.state_decoder is None:
            return None
        with torch.set_grad_enabled(torch.is_grad_enabled() and z.requires_grad):
            read = self.state_decoder(z)
            return read if self.object_decoder is None else torch.cat([read, self.object_decoder(z)], -1)

    def decode(self, z: torch.Tensor) -> torch.Tensor | None:
        """Decode latents [B, tokens, dim] to normalised images [B, 3, H, W]; None without a pixel decoder."""
        return None if self.pixel_decoder is None else self.pixel_decoder(z)

    # --- loading ----------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, source: str | Path, release: ReleaseOptions | None = None) -> WorldModel:
        """Load a checkpoint, without a second copy of its weights in memory.

        Args:
            source: Name of a bundled checkpoint; folder of a model or of a training run; Meta's ``.pt`` file; or a
                folder in Hugging Face's ``VJEPA2Model`` layout (see :mod:`vjepa_sim.released`).
            release: Facts that a file of released weights doesn't hold.

        Raises:
            UserError: There is no such checkpoint, a file is damaged, or tensors are missing, extra or misshapen.
        """
        path = find_checkpoint(source)
        if is_released(path):
            card, tensors = read_released(path, release)
        else:
            if release is not None and release.given():
                raise UserError(
                    f"{source} has a card, which states {', '.join(release.given())} already: leave that out; it is "
                    "for released weights only."
                )
            card, tensors = read_card(path / CARD_FILE), read_safetensors(path / WEIGHTS_FILE)
        model = build(cls, card, path)
        load_tensors(model, tensors, path)
        return model.eval()

    def with_card(self, **changes) -> WorldModel:
        """Replace fields of the card; returns the model."""
        self.card = replace(self.card, **changes)
        return self


def required(part: Part | None, name: str) -> Part:
    """A part that a model may lack.

    Args:
        part: The part, or None.
        name: Name of the part in the error.

    Raises:
        UserError: There is no such part.
    """
    if part is None:
        raise UserError(f"This needs a world model with a {name}; the one given has none.")
    return part


def input_size(source: str | Path) -> int:
    """Height and width of a checkpoint's input in pixels; of released ones, the largest that there is."""
    path = find_checkpoint(source)
    return LARGEST_RELEASED if is_released(path) else read_card(path / CARD_FILE).transform.size
