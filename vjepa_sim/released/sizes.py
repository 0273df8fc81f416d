"""Sizes of networks from the shapes of their tensors, and head counts, which no shape shows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict

import torch

from vjepa_sim.envs.errors import UserError

Tensors = dict[str, torch.Tensor]

LICENSE = "Meta's, as stated with the release"
# Attention heads of the released models, by width and depth. (Meta's code has a second model of 1408 × 40, with 16
# heads, that was never released.)
ENCODER_HEADS = {(768, 12): 12, (1024, 24): 16, (1280, 32): 16, (1408, 40): 22, (1664, 48): 26}
PREDICTOR_HEADS = {(384, 12): 12, (384, 24): 12, (1024, 24): 16}


class TransformerSizes(TypedDict):
    """Fields that the configurations of all transformers share."""

    dim: int
    depth: int
    heads: int
    mlp_hidden: int


def transformer_sizes(
    path: Path, tensors: Tensors, dim: int, *, part: Literal["encoder", "predictor"], heads: int | None
) -> TransformerSizes:
    """Sizes of a transformer.

    Args:
        path: File, for errors.
        tensors: Tensors of the part, by name.
        dim: Width.
        part: Which transformer it is.
        heads: Stated number of attention heads; None for that of the released model of this size.

    Raises:
        UserError: No released model has this size, so that the number of heads must be stated; or it can't be right.
    """
    blocks, known, option = (
        ("blocks", ENCODER_HEADS, "heads")
        if part == "encoder"
        else ("predictor_blocks", PREDICTOR_HEADS, "predictor_heads")
    )
    depth = len({name.split(".")[1] for name in tensors if name.startswith(f"{blocks}.")})
    found = heads or known.get((dim, depth))
    if found is None:
        flag = f"--{option.replace('_', '-')}"
        raise UserError(
            f"{path}: its {part} is {dim} wide and {depth} blocks deep, like none that Meta released, and a file "
            f"doesn't hold the number of attention heads. State it: `convert weights {flag} N`, or "
            f"ReleaseOptions({option}=N)."
        )
    if dim % found:
        raise UserError(f"{path}: {found} heads don't divide the {part}'s width of {dim}.")
    return {
        "dim": dim,
        "depth": depth,
        "heads": found,
        "mlp_hidden": shape_of(path, tensors, f"{blocks}.0.mlp.fc1.weight", 2)[0],
    }


def shape_of(path: Path, tensors: Tensors, name: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a tensor.

    Raises:
        UserError: It is missing, or has another number of dimensions.
    """
    if name not in tensors or tensors[name].ndim != dimensions:
        first = ", ".join(list(tensors)[:3])
        found = f"it has {tuple(tensors[name].shape)}" if name in tensors else f"found {first} and more"
        raise UserError(f"{path} is not a V-JEPA 2 model: {name} with {dimensions} dimensions is expected; {found}.")
    return tuple(tensors[name].shape)
