"""Checkpoints on disk: finding, writing and fingerprinting them."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from vjepa_sim.data.files import read_json_object, write_text
from vjepa_sim.data.walk import is_data
from vjepa_sim.envs.errors import UserError, unknown_name

if TYPE_CHECKING:
    from vjepa_sim.card import Card

CARD_FILE = "card.json"
SUFFIXES = (".json", ".safetensors")
WEIGHTS_FILE = "model.safetensors"
HUGGING_FACE_CONFIG = "config.json"  # file of a folder in Hugging Face's layout
PROVENANCE = ("name", "training", "data", "measured", "license")  # fields of a card that don't change what a model does
BUNDLED = Path(__file__).parent / "checkpoints"

AnyModel = TypeVar("AnyModel", bound=nn.Module)


class CardedModule(nn.Module):
    """A network whose checkpoints have a card.

    Attributes:
        card: Architecture, provenance and measurements of the network, see :class:`.Card`.
    """

    card: Card

    def save_pretrained(self, folder: str | Path, half: bool = False) -> None:
        """Write ``card.json`` and ``model.safetensors`` into a folder, each whole or not at all.

        Args:
            folder: Folder of the checkpoint; it is made if it doesn't exist.
            half: Whether the weights are stored in half precision; they are widened when loaded.
        """
        write_checkpoint(Path(folder), self.card, self.state_dict(), half)


def build(kind: type[AnyModel], card: Card, path: Path) -> AnyModel:
    """Build the model that a card describes, without memory for its weights; :func:`.load_tensors` loads them.

    Args:
        kind: Class of the model.
        card: Card of the checkpoint.
        path: Checkpoint that is named in errors.

    Raises:
        UserError: The sizes on the card contradict each other.
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
        folder: Folder of the checkpoint; it is made if it doesn't exist.
        card: Card of the model.
        tensors: Tensors of the model's state by name.
        half: Whether the weights are stored in half precision; integer tensors are stored as they are.
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
    """Checksum (CRC-32) of a checkpoint's card and weights, to notice that a path holds another model.

    Fields of the card that describe the training and the measurements are left out: a model that was measured again is
    still the same model.
    """
    path = find_checkpoint(source)
    inside = [] if path.is_file() else sorted(each for each in path.iterdir() if is_data(each.name))
    files = [path] if path.is_file() else [each for suffix in SUFFIXES for each in inside if each.suffix == suffix]
    checksum = 0
    for file in files:
        if file.name == CARD_FILE:
            card = {name: value for name, value in read_json_object(file).items() if name not in PROVENANCE}
            checksum = zlib.crc32(json.dumps(card).encode(), checksum)
            continue
        with open(file, "rb") as stream:
            while block := stream.read(1 << 24):
                checksum = zlib.crc32(block, checksum)
    return checksum


def find_checkpoint(name_or_folder: str | Path) -> Path:
    """Find the checkpoint that a user means by a name or a path.

    Args:
        name_or_folder: Name of a bundled checkpoint, folder of a checkpoint or of a training run, or a released
            checkpoint (see :mod:`vjepa_sim.released`).

    Returns:
        The folder with ``card.json``, or the released file or folder.

    Raises:
        UserError: There is no such checkpoint.
    """
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


def is_released(path: Path) -> bool:
    """Whether a path looks like a checkpoint that Meta released: a ``.pt`` file, or a folder of Hugging Face's."""
    if path.is_dir():
        return (path / HUGGING_FACE_CONFIG).is_file()
    return path.is_file() and path.suffix in (".pt", ".pth", ".tar")
