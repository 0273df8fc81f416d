"""The world model: encoder, action-conditioned predictor, and the card that says how to use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import ModelCard, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, build, find_checkpoint, is_released, write_checkpoint
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.models.heads import ObjectDecoder, StateDecoder
from vjepa_sim.models.mask_predictor import Predictor
from vjepa_sim.parts import make_encoder, make_pixel_decoder, make_predictor
from vjepa_sim.released import Branch, read_released
from vjepa_sim.weights import load_tensors, read_safetensors

LARGEST_RELEASED = 384  # pixels


class WorldModel(nn.Module):
    """Imagine what pictures actions lead to, in feature space.

    Attributes:
        card: see :class:`.ModelCard`.
        encoder: pictures and video to tokens.
        predictor: the action-conditioned one, or None after stage one.
        mask_predictor: stage one's, or None after stage two.
        state_decoder, object_decoder, pixel_decoder: see :mod:`vjepa_sim.models.heads`; None in released checkpoints.
        goal_policy: see :mod:`vjepa_sim.models.goal_policy`, or None.
    """

    def __init__(self, card: ModelCard):
        super().__init__()
        self.card = card
        self.encoder = make_encoder(card.encoder)
        self.mask_predictor = Predictor(card.mask_predictor, card.encoder) if card.mask_predictor else None
        self.state_decoder = StateDecoder(card.encoder) if card.decoders else None
        self.object_decoder = ObjectDecoder(card.encoder) if card.object_decoder else None
        self.pixel_decoder = make_pixel_decoder(card.encoder) if card.decoders else None
        self.predictor = make_predictor(card.predictor, card.encoder) if card.predictor else None
        policy = card.goal_policy
        self.goal_policy = GoalPolicy(policy, card.encoder, card.object_decoder) if policy else None

    @property
    def imagines(self) -> bool:
        """Whether there is a predictor."""
        return self.predictor is not None

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    # --- using ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, rgb: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Pictures to latents.

        Args:
            rgb: uint8 [B, H, W, 3] or [H, W, 3].

        Returns:
            Tokens [B, tokens, dim], layer-normed by encoders of V-JEPA 2's kind; B is 1 for a single picture.
        """
        images = torch.as_tensor(rgb)
        inputs = self.card.transform(images if images.ndim == 4 else images[None])
        return self.encoder.still(inputs.to(self.device))

    def rollout(
        self, z: torch.Tensor, state: torch.Tensor | np.ndarray, actions: torch.Tensor | np.ndarray
    ) -> torch.Tensor:
        """Imagine action sequences from one present.

        Args:
            z: the present's latent [tokens, dim].
            state: the arm's state [7].
            actions: N sequences of H actions [N, H, 7], metres, radians, closedness.

        Returns:
            The latents after each step [N, H, tokens, dim]; they have a gradient if the actions have.
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
        """What the decoders read off latents, seen or imagined; None without decoders.

        Args:
            z: [..., tokens, dim].

        Returns:
            [..., 4 or 7] in the decoders' units: the hand's place, its closedness and, if it can be told, the object's
            place. They have a gradient if the latents have.
        """
        if self.state_decoder is None:
            return None
        with torch.set_grad_enabled(torch.is_grad_enabled() and z.requires_grad):
            read = self.state_decoder(z)
            return read if self.object_decoder is None else torch.cat([read, self.object_decoder(z)], -1)

    def decode(self, z: torch.Tensor) -> torch.Tensor | None:
        """Latents [B, tokens, dim] to normalised images [B, 3, H, W]; None without a decoder."""
        return None if self.pixel_decoder is None else self.pixel_decoder(z)

    # --- saving and loading -----------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path, half: bool = False) -> None:
        """Write ``card.json`` and ``model.safetensors`` into a folder, each whole or not at all.

        Args:
            folder: is made if there is none.
            half: store the weights in half precision; they are widened when loaded.
        """
        write_checkpoint(Path(folder), self.card, self.state_dict(), half)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, branch: Branch | None = None, image_size: int | None = None
    ) -> WorldModel:
        """Load a checkpoint; at its largest, memory holds the weights once.

        Args:
            source: a bundled name; a folder of a model or of a whole training run; or what others released: Meta's
                ``.pt`` file, or a folder in Hugging Face's ``VJEPA2Model`` layout (see :mod:`vjepa_sim.released`).
            branch, image_size: for released weights, see :func:`.read_released`.

        Raises:
            UserError: there is no such checkpoint, a file is damaged, or tensors are missing, extra or misshapen.
        """
        path = find_checkpoint(source)
        if is_released(path):
            card, tensors = read_released(path, branch, image_size)
        else:
            if branch is not None or image_size is not None:
                raise UserError(
                    f"{source} holds one encoder only, of one size; a branch and a size are for released weights."
                )
            card, tensors = read_card(path / CARD_FILE), read_safetensors(path / WEIGHTS_FILE)
        model = build(cls, card, path)
        load_tensors(model, tensors, path)
        return model.eval()

    def with_card(self, **changes) -> WorldModel:
        """Replace fields of the card."""
        self.card = replace(self.card, **changes)
        return self


def input_size(source: str | Path) -> int:
    """Height and width in pixels of what a checkpoint's encoder sees; for released ones, the largest there is."""
    path = find_checkpoint(source)
    return LARGEST_RELEASED if is_released(path) else read_card(path / CARD_FILE).transform.size
