"""The world model: encoder, action-conditioned predictor, and the card that says how to use them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from data.provenance import write_text
from envs.errors import UserError, unknown_name
from vjepa_sim.ac_predictor import ACPredictor
from vjepa_sim.card import CARD_FILE, ModelCard, read_card
from vjepa_sim.encoder import Encoder, encode_still
from vjepa_sim.heads import PixelDecoder, StateDecoder
from vjepa_sim.rotation import integrate

WEIGHTS_FILE = "model.safetensors"
BUNDLED = Path(__file__).parent / "checkpoints"


class WorldModel(nn.Module):
    """Imagine what pictures actions lead to, in feature space.

    Attributes:
        card: see :class:`vjepa_sim.card.ModelCard`.
    """

    def __init__(self, card: ModelCard):
        super().__init__()
        self.card = card
        self.encoder = Encoder(card.encoder)
        self.state_decoder = StateDecoder(card.encoder)
        self.pixel_decoder = PixelDecoder(card.encoder)
        self.predictor = ACPredictor(card.predictor, card.encoder) if card.predictor else None

    # --- using ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, rgb: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Pictures to latents.

        Args:
            rgb: uint8 [B, H, W, 3] or [H, W, 3].

        Returns:
            Layer-normed tokens [B, tokens, dim]; B is 1 for a single picture.
        """
        images = torch.as_tensor(rgb)
        return encode_still(self.encoder, self.card.transform(images if images.ndim == 4 else images[None]))

    @torch.no_grad()
    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Imagine action sequences from one present.

        Args:
            z: the present's latent [tokens, dim].
            state: the arm's state [7].
            actions: N sequences of H actions [N, H, 7], metres, radians, closedness.

        Returns:
            The latents after each step [N, H, tokens, dim].
        """
        if self.predictor is None:
            raise UserError(
                f"Checkpoint {self.card.name!r} has no action-conditioned predictor; train one with `vjepa-sim train`."
            )
        samples, horizon = actions.shape[:2]
        latents = z.expand(samples, 1, *z.shape)
        states = state.expand(samples, 1, -1)
        for t in range(horizon):
            step = self.predictor(latents, actions[:, : t + 1], states)[:, -1:]
            latents = torch.cat([latents, step], 1)
            if t + 1 < horizon:
                states = torch.cat([states, integrate(states[:, -1], actions[:, t])[:, None]], 1)
        return latents[:, 1:]

    # --- saving and loading -----------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``card.json`` and ``model.safetensors`` into a folder, each whole or not at all."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}
        partial = folder / f".partial-{WEIGHTS_FILE}"
        save_file(tensors, partial)
        partial.chmod(0o644)  # readable by others, as files usually are
        os.replace(partial, folder / WEIGHTS_FILE)
        write_text(folder / CARD_FILE, self.card.to_json())

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path) -> WorldModel:
        """Load a bundled checkpoint by name, or one from a folder (of a model, or of a whole training run).

        Raises:
            UserError: there is no such checkpoint, a file is damaged, or tensors are missing, extra or misshapen.
        """
        folder = find_checkpoint(name_or_folder)
        try:
            model = cls(read_card(folder / CARD_FILE))
        except UserError:
            raise
        except (ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{folder / CARD_FILE}: no model can be built from this card: {error}") from error
        load_weights(model, folder / WEIGHTS_FILE)
        return model.eval()

    def with_card(self, **changes) -> WorldModel:
        """Replace fields of the card."""
        self.card = replace(self.card, **changes)
        return self


def find_checkpoint(name_or_folder: str | Path) -> Path:
    """The folder with ``card.json`` that a user means by a name or a path."""
    bundled = sorted(path.parent.name for path in BUNDLED.glob(f"*/{CARD_FILE}"))
    if str(name_or_folder) in bundled:
        return BUNDLED / str(name_or_folder)
    folder = Path(name_or_folder)
    for candidate in (folder, folder / "checkpoints" / "last"):
        if (candidate / CARD_FILE).is_file():
            return candidate
    if folder.exists():
        raise UserError(f"{folder} is not a checkpoint: it has neither {CARD_FILE} nor checkpoints/last/{CARD_FILE}.")
    if "/" in str(name_or_folder):
        raise UserError(f"There is no checkpoint folder {folder}. The bundled ones are: {', '.join(bundled)}.")
    raise unknown_name("checkpoint", name_or_folder, bundled)


def load_weights(module: nn.Module, path: Path) -> None:
    """Load tensors strictly by name and shape; half-precision files (the bundled one) are widened.

    Raises:
        UserError: the file can't be read, or tensors are missing, extra, misshapen or not finite; all are listed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: the weights can't be read ({error}). Is the file complete?") from error
    expected = module.state_dict()
    problems = [f"missing {name} {tuple(expected[name].shape)}" for name in sorted(set(expected) - set(tensors))]
    problems += [f"unexpected {name}" for name in sorted(set(tensors) - set(expected))]
    for name in sorted(set(tensors) & set(expected)):
        if tensors[name].shape != expected[name].shape:
            problems.append(f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}")
        elif not torch.isfinite(tensors[name]).all():
            problems.append(f"{name} holds numbers that are not finite")
    if problems:
        shown = "; ".join(problems[:10]) + (f"; and {len(problems) - 10} more" if len(problems) > 10 else "")
        raise UserError(f"{path} doesn't fit its card: {shown}.")
    module.load_state_dict(tensors)
