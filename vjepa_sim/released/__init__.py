"""Released weights: Meta's ``.pt`` files, and folders in Hugging Face's ``VJEPA2Model`` layout."""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.card import ModelCard
from vjepa_sim.envs.errors import UserError
from vjepa_sim.release_options import ReleaseOptions
from vjepa_sim.released.hugging_face import read_hugging_face
from vjepa_sim.released.meta_file import read_meta
from vjepa_sim.released.sizes import Tensors

__all__ = ["ReleaseOptions", "read_released"]


def read_released(path: Path, options: ReleaseOptions | None = None) -> tuple[ModelCard, Tensors]:
    """Read a released checkpoint of V-JEPA 2, 2-AC or 2.1. No pickled code is ever executed.

    Args:
        path: Meta's file, or Hugging Face's folder.
        options: Facts that the file doesn't hold.

    Returns:
        The card, and tensors by their names in :class:`.WorldModel`. ``card.training["released"]`` holds file, branch,
        and what was assumed.

    Raises:
        UserError: The file can't be read or has another layout, or lacks a fact that the options don't give.
    """
    options = options or ReleaseOptions()
    if not path.is_dir():
        return read_meta(path, options)
    unused = [name for name in options.given() if name not in ("branch", "image_size")]
    if unused:
        raise UserError(f"{path}: config.json holds what {', '.join(unused)} would state; leave it out.")
    return read_hugging_face(path, options)
