"""Errors that are meant for the user."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

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


@contextmanager
def naming_part(part: str, code: object) -> Iterator[None]:
    """Raise what the code of a plugin's part raises as a :class:`UserError` that names the part and the line.

    Errors of the project's own code stay what they are, and so do those of files and disks.

    Args:
        part: the part in words, such as "Task 'push'".
        code: class, function or callable object that is run inside.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except (Exception, SystemExit) as error:
        module = _module_of(code)
        if module.startswith("vjepa_sim."):
            raise
        frames = traceback.walk_tb(error.__traceback__)
        own = [line_of(frame, line) for frame, line in frames if frame.f_globals.get("__name__") == module]
        where = own[-1] if own else f"in module {module}"  # not even begun, as it takes other arguments
        raise UserError(f"{part} failed with {class_and_message(error)}, {where}.") from error


def _module_of(code: object) -> str:
    """Module of a class or function; of a callable object, its class's; of a partial, its function's."""
    while isinstance(code, partial):
        code = code.func
    return getattr(code, "__module__", None) or type(code).__module__


def class_and_message(error: BaseException) -> str:
    """Class and message of an error, on one line."""
    return f"{type(error).__name__}: {' '.join(printable(str(error)).split())}".rstrip(": .")


def line_of(frame: FrameType, line: int) -> str:
    """Line and file of a frame, for the author of that code."""
    return f"line {line} of {frame.f_code.co_filename}"
