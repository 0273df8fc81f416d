"""Checks of the parts that plugins register."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from vjepa_sim.envs.errors import UserError

TITLE = re.compile("[A-Za-z0-9_]+")  # part of an id of Gymnasium
A_ROTATION = "a unit quaternion, 4 numbers (w, x, y, z)"
A_TITLE = "letters and digits, without blanks"


def check_fields(kind: str, part: Any, rules: Iterable[tuple[str, object, str]]) -> None:
    """Raise :class:`.UserError` for the first field of a part that has a wrong value.

    Args:
        kind: noun of its registry.
        part: part of a plugin, with a name.
        rules: for each field its name, whether the value is right, and what is expected, in words.
    """
    for field, right, expected in rules:
        if not right:
            value = getattr(part, field)
            raise UserError(f"{kind.capitalize()} {part.name!r} has {field} {value!r:.200}; expected {expected}.")


def is_text(value: object, pattern: re.Pattern[str] | None = None) -> bool:
    """Whether something is a text that isn't empty, all of it as a pattern has it."""
    return isinstance(value, str) and bool(value) and (pattern is None or bool(pattern.fullmatch(value)))


def are_texts(values: object) -> bool:
    """Whether something is a tuple of texts, none of them empty."""
    return isinstance(values, tuple) and all(map(is_text, values))


def is_number(value: object, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether something is one finite number between two bounds."""
    return _are_finite(value, (), low, high)


def are_numbers(values: object, count: int, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether something is a row of ``count`` finite numbers between two bounds."""
    return _are_finite(values, (count,), low, high)


def is_rotation(values: object) -> bool:
    """Whether something is a unit quaternion [4]."""
    return are_numbers(values, 4) and abs(float(np.linalg.norm(np.asarray(values, np.float64))) - 1) < 0.01


def _are_finite(values: object, shape: tuple[int, ...], low: float, high: float) -> bool:
    try:
        numbers = np.asarray(values)
    except ValueError:  # rows of different lengths
        return False
    if numbers.dtype.kind not in "iuf" or numbers.shape != shape:
        return False
    return bool(np.all(np.isfinite(numbers) & (numbers >= low) & (numbers <= high)))
