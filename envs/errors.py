"""Errors that are meant for the user."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can correct: the message has what was given, what was expected, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


def unknown_name(kind: str, given: object, valid: Iterable[str]) -> UserError:
    """The error for an unknown name, with the nearest valid name as a suggestion."""
    valid = sorted(valid)
    close = difflib.get_close_matches(str(given), valid, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UserError(f"Unknown {kind} {given!r}.{hint} Choose one of: {', '.join(valid)}.")
