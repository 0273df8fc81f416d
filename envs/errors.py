"""The one family of errors that are meant for the person at the keyboard."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake the user can mend: the message says what was given, what was expected, and what to do.

    The command line prints it without a traceback and leaves with exit status 2.
    """


def unknown_name(kind: str, given: object, valid: Iterable[str]) -> UserError:
    """The error for a name that is not in a list, with the nearest valid name as a suggestion."""
    valid = sorted(valid)
    close = difflib.get_close_matches(str(given), valid, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UserError(f"Unknown {kind} {given!r}.{hint} Choose one of: {', '.join(valid)}.")
