"""A fault of a data set: what, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fault that a check found.

    Attributes:
        check: Name of the check.
        episode: Name of the episode, or "" for the data set as a whole.
        number: Number of the episode in the reader, or None.
        row: Row of the episode, or None.
        severity: ``error`` if a model would learn something wrong, ``warning`` if a person should look.
        what: The fault, with numbers.
        remedy: What to do.
    """

    check: str
    episode: str
    number: int | None
    row: int | None
    severity: str
    what: str
    remedy: str
