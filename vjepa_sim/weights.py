"""Reading tensors from files, and loading them into modules."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from vjepa_sim.envs.errors import UserError

SHOWN = 10  # problems listed in an error


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a file, by name.

    Raises:
        UserError: The file can't be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: the weights can't be read ({error}). Is the file complete?") from error


def load_tensors(module: nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Load tensors into a module, strictly by name and shape. Half precision is widened to the module's.

    A module on PyTorch's meta device takes over the tensors themselves, without a second copy in memory.

    Args:
        module: Module that is loaded.
        tensors: Tensors by name; the dictionary is emptied.
        source: File that is named in errors.

    Raises:
        UserError: Tensors are missing, extra, misshapen or not finite; the error lists them.
    """
    expected = module.state_dict()
    problems = [f"missing {name} {tuple(expected[name].shape)}" for name in sorted(set(expected) - set(tensors))]
    problems += [f"unexpected {name}" for name in sorted(set(tensors) - set(expected))]
    for name in sorted(set(tensors) & set(expected)):
        if tensors[name].shape != expected[name].shape:
            problems.append(f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(expected[name].shape)}")
        elif not torch.isfinite(tensors[name]).all():
            problems.append(f"{name} holds numbers that are not finite")
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"{source} doesn't fit the model: {'; '.join(problems[:SHOWN])}{more}.")
    for name in list(tensors):
        wide = {name: tensors.pop(name).to(expected[name].dtype)}
        module.load_state_dict(wide, strict=False, assign=expected[name].is_meta)
