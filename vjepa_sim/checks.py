"""Whether the numbers of a configuration make sense; cards are read from files, which may hold anything."""

from __future__ import annotations

import math
from collections.abc import Iterable

from vjepa_sim.envs.errors import UserError, unknown_name


def check_positive(config: object, *names: str) -> None:
    """The named fields must be whole numbers of at least 1."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{type(config).__name__}.{name} is {value!r}; expected a whole number of at least 1.")


def check_numbers(config: object, name: str, length: int | None = None, above: float = -math.inf) -> None:
    """The named field must be a finite number, or ``length`` of them, above a bound."""
    value = getattr(config, name)
    values = (value,) if length is None else value
    right = isinstance(values, tuple) and len(values) == (length or 1)
    if not right or not all(isinstance(v, (int, float)) and above < v < math.inf for v in values):
        what = "a number" if length is None else f"{length} numbers"
        bound = f" above {above:g}" if above > -math.inf else ""
        raise UserError(f"{type(config).__name__}.{name} is {value!r}; expected {what}{bound}.")


def check_choice(config: object, name: str, valid: Iterable[str]) -> None:
    """The named field must be one of some words."""
    if getattr(config, name) not in tuple(valid):
        raise unknown_name(f"{type(config).__name__}.{name}", getattr(config, name), valid)
