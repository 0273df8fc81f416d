"""Checkpoints on disk: found by name, written whole, told apart by a fingerprint."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from vjepa_sim.data.files import read_json_object, write_text
from vjepa_sim.envs.errors import UserError, unknown_name

if TYPE_CHECKING:
    from vjepa_sim.card import Card

CARD_FILE = "card.json"
WEIGHTS_FILE = "model.safetensors"
HUGGING_FACE_CONFIG = "config.json"  # of a folder in Hugging Face's layout
TOLD_OF_IT = ("name", "training", "data", "measured", "license")  # on a card, of how a model was made and how it does
BUNDLED = Path(__file__).parent / "checkpoints"

AnyModel = TypeVar("AnyModel", bound=nn.Module)


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


def is_released(path: Path) -> bool:
    """Whether a path looks like one of these layouts."""
    if path.is_dir():
        return (path / HUGGING_FACE_CONFIG).is_file()
    return path.is_file() and path.suffix in (".pt", ".pth", ".tar")
