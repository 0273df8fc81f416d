"""Validation of configurations; cards are read from files, which may hold anything."""

from __future__ import annotations

import math
from collections.abc import Iterable

from vjepa_sim.envs.errors import UserError, unknown_name


def check_positive(config: object, *names: str) -> None:
    """Check that the named fields are integers of at least 1."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{type(config).__name__}.{name} is {value!r}; expected an integer of at least 1.")


def check_numbers(config: object, name: str, length: int | None = None, above: float = -math.inf) -> None:
    """Check that the named field is a finite number, or a tuple of ``length`` numbers, above a bound."""
    value = getattr(config, name)
    values = (value,) if length is None else value
    right = isinstance(values, tuple) and len(values) == (length or 1)
    if not right or not all(isinstance(v, (int, float)) and above < v < math.inf for v in values):
        what = "a number" if length is None else f"{length} numbers"
        bound = f" above {above:g}" if above > -math.inf else ""
        raise UserError(f"{type(config).__name__}.{name} is {value!r}; expected {what}{bound}.")


def check_types(config: object, **types: type) -> None:
    """Check that fields have values of a type."""
    for name, expected in types.items():
        value = getattr(config, name)
        if not isinstance(value, expected):
            raise UserError(f"{type(config).__name__}.{name} is {value!r:.80}; expected {expected.__name__}.")


def check_choice(config: object, name: str, valid: Iterable[str]) -> None:
    """Check that the named field has one of some values."""
    if getattr(config, name) not in tuple(valid):
        raise unknown_name(f"{type(config).__name__}.{name}", getattr(config, name), valid)
