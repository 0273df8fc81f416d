"""The world model: encoder, action-conditioned predictor, and the card that says how to use them."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from data.files import read_json_object, write_text
from envs.errors import UserError, unknown_name
from vjepa_sim.card import CARD_FILE, Card, ModelCard, read_card
from vjepa_sim.goal_policy import GoalPolicy
from vjepa_sim.heads import ObjectDecoder, StateDecoder
from vjepa_sim.parts import make_encoder, make_pixel_decoder, make_predictor
from vjepa_sim.predictor import Predictor
from vjepa_sim.released import Branch, is_released, read_released
from vjepa_sim.weights import load_tensors, read_safetensors

WEIGHTS_FILE = "model.safetensors"
LARGEST_RELEASED = 384  # pixels
TOLD_OF_IT = ("name", "training", "data", "measured", "license")  # on a card, of how a model was made and how it does
BUNDLED = Path(__file__).parent / "checkpoints"


AnyModel = TypeVar("AnyModel", bound=nn.Module)


class WorldModel(nn.Module):
    """Imagine what pictures actions lead to, in feature space.

    Attributes:
        card: see :class:`vjepa_sim.card.ModelCard`.
        encoder: pictures and video to tokens.
        predictor: the action-conditioned one, or None after stage one.
        mask_predictor: stage one's, or None after stage two.
        state_decoder, object_decoder, pixel_decoder: see :mod:`vjepa_sim.heads`; None in released checkpoints.
        goal_policy: see :mod:`vjepa_sim.goal_policy`, or None.
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

    def read(self, z: torch.Tensor) -> torch.Tensor:
        """What the decoders read off latents, seen or imagined; there must be decoders.

        Args:
            z: [..., tokens, dim].

        Returns:
            [..., 4 or 7] in the decoders' units: the hand's place, its closedness and, if it can be told, the object's
            place. They have a gradient if the latents have.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and z.requires_grad):
            read = self.state_decoder(z)
            return read if self.object_decoder is None else torch.cat([read, self.object_decoder(z)], -1)

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
            branch, image_size: for released weights, see :func:`vjepa_sim.released.read_released`.

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


def build(kind: type[AnyModel], card: Card, path: Path) -> AnyModel:
    """A model as its card says, without memory for weights; :func:`load_tensors` gives it theirs.

    Raises:
        UserError: the card at ``path`` describes none that can be.
    """
    try:
        with torch.device("meta"):
            return kind(card)
    except UserError:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: no model can be built from its card: {error}") from error


def write_checkpoint(folder: Path, card: Card, tensors: dict[str, torch.Tensor], half: bool = False) -> None:
    """Write a card and the tensors of a model's state into a folder, each whole or not at all.

    Args:
        folder: is made if there is none.
        card: of the model.
        tensors: by name.
        half: store the weights in half precision; counters stay whole numbers.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if half:
        tensors = {name: each.half() if each.is_floating_point() else each for name, each in tensors.items()}
    partial = folder / f".partial-{WEIGHTS_FILE}"
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, partial)
    partial.chmod(0o644)  # readable by others, as files usually are
    os.replace(partial, folder / WEIGHTS_FILE)
    write_text(folder / CARD_FILE, card.to_json())


def fingerprint(source: str | Path) -> int:
    """A checksum (CRC-32) of a checkpoint's card and weights: tells whether a path still holds the same model.

    What the card tells of its making and its scores is left out: a model that was scored since is the same.
    """
    path = find_checkpoint(source)
    files = [path] if path.is_file() else sorted(path.glob("*.json")) + sorted(path.glob("*.safetensors"))
    checksum = 0
    for file in files:
        if file.name == CARD_FILE:
            card = {name: told for name, told in read_json_object(file).items() if name not in TOLD_OF_IT}
            checksum = zlib.crc32(json.dumps(card).encode(), checksum)
            continue
        with open(file, "rb") as stream:
            while block := stream.read(1 << 24):
                checksum = zlib.crc32(block, checksum)
    return checksum


def input_size(source: str | Path) -> int:
    """Height and width in pixels of what a checkpoint's encoder sees; for released ones, the largest there is."""
    path = find_checkpoint(source)
    return LARGEST_RELEASED if is_released(path) else read_card(path / CARD_FILE).transform.size


def find_checkpoint(name_or_folder: str | Path) -> Path:
    """The folder with ``card.json``, or what others released, that a user means by a name or a path."""
    bundled = sorted(path.parent.name for path in BUNDLED.glob(f"*/{CARD_FILE}"))
    if str(name_or_folder) in bundled:
        return BUNDLED / str(name_or_folder)
    folder = Path(name_or_folder)
    if is_released(folder):
        return folder
    for candidate in (folder, folder / "checkpoints" / "last"):
        if (candidate / CARD_FILE).is_file():
            return candidate
    if folder.name == CARD_FILE and folder.is_file():
        return folder.parent
    if folder.exists():
        raise UserError(f"{folder} is not a checkpoint: it has neither {CARD_FILE} nor checkpoints/last/{CARD_FILE}.")
    if "/" in str(name_or_folder):
        raise UserError(f"There is no checkpoint folder {folder}. The bundled ones are: {', '.join(bundled)}.")
    raise unknown_name("checkpoint", str(name_or_folder), bundled)
