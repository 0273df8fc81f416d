"""Errors that are meant for the user."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# Control characters except tab and line feed, and marks that turn the direction of writing.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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


def printable(text: str) -> str:
    """The text for a terminal: names and tasks from files can't move the cursor, change colours or hide parts.

    Control characters are shown as escape sequences such as ``\\x1b``.
    """
    return CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)
