"""Options that several verbs take."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

from vjepa_sim.envs.errors import UserError


def choose(text: str, valid: tuple[str, ...]) -> tuple[str, ...]:
    """``all``, or names with commas between; the configuration refuses an unknown one."""
    if not text.strip(" ,"):
        raise UserError(f"{text!r} names nothing. Give all, or some of: {', '.join(valid)}.")
    return valid if text == "all" else names_in(text)


def names_in(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UserError(f"{text!r} names nothing; give names with commas between.")
    return names


def set_threads(threads: int) -> None:
    """Hold PyTorch to so many threads; 0 leaves the choice to it."""
    import torch

    if threads < 0:
        raise UserError(f"--threads {threads}: give a positive number, or 0 to leave the choice to PyTorch.")
    if threads:
        torch.set_num_threads(threads)


def refuse_unused(verb: Any, names: tuple[str, ...], where: str) -> None:
    """Refuse options that would have no effect.

    Args:
        verb: the dataclass of all its options.
        names: of its fields that must be as they are by default.
        where: they have no effect, in words.

    Raises:
        UserError: one of them is given.
    """
    given = [f"--{each.name.replace('_', '-')}" for each in fields(verb) if each.name in names and _changed(verb, each)]
    if given:
        raise UserError(f"{', '.join(given)}: no effect {where}. Leave it out.")


def _changed(verb: Any, field: Field) -> bool:
    usual = field.default if field.default_factory is MISSING else field.default_factory()
    return getattr(verb, field.name) != usual
