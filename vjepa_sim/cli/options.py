"""Options that several verbs share."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from vjepa_sim.data.formats import FORMATS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.options import descriptions

# Data sets that are read, with the formats of robot episodes in the help text.
DataSets = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(help_behavior_hint=lambda _: f"(repeatable) {descriptions(FORMATS, 'title')}"),
]


def data_set(path: Path, format: str | None) -> tuple[Path, str | None]:
    """Path and format of a data set that is given as PATH or, as for training, FORMAT:PATH.

    Args:
        path: the argument.
        format: value of --format; None if not given.

    Raises:
        UserError: both give a format, and these differ.
    """
    named, separator, rest = str(path).partition(":")
    if not separator or named not in FORMATS or path.exists():
        return path, format
    if format not in (None, named):
        raise UserError(f"{path} with --format {format}: two different formats. Leave one out.")
    return Path(rest), named


def set_threads(threads: int) -> None:
    """Set the number of PyTorch threads; 0 keeps PyTorch's default.

    Raises:
        UserError: the number is negative.
    """
    if threads < 0:
        raise UserError(f"--threads {threads}: give a positive number, or 0 for PyTorch's default.")
    if threads:
        import torch

        torch.set_num_threads(threads)


def refuse_unused(verb: Any, names: tuple[str, ...], where: str) -> None:
    """Refuse options that have no effect.

    Args:
        verb: dataclass of options.
        names: fields that must have their default values.
        where: circumstance in which they have no effect, in words.

    Raises:
        UserError: one of them has another value.
    """
    given = [f"--{each.name.replace('_', '-')}" for each in fields(verb) if each.name in names and _changed(verb, each)]
    if given:
        raise UserError(f"{', '.join(given)}: no effect {where}. Leave it out.")


def _changed(verb: Any, field: Field) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return getattr(verb, field.name) != default
