"""Something wrong with a data set: what, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found.

    Attributes:
        check: its name.
        episode: name of the episode, or "" if it is the data set as a whole.
        number: of the episode in the reader, or None.
        row: where in the episode, or None.
        severity: ``error`` if a model would learn something wrong, ``warning`` if someone should look.
        what: what was found, with numbers.
        remedy: what to do.
    """

    check: str
    episode: str
    number: int | None
    row: int | None
    severity: str
    what: str
    remedy: str
