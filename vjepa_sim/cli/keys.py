"""Questions that are answered with one key."""

from __future__ import annotations

import sys

from envs.errors import UserError


def ask_key(question: str, keys: str) -> str:
    """Wait for one of some keys, without Enter where the terminal can do that.

    Args:
        question: shown before.
        keys: lower-case letters that are answers.

    Raises:
        UserError: nobody is there to answer.
    """
    check_terminal(question)
    print(question, end=" ", flush=True)
    read = _read_key if _has_termios() else _read_line
    while (key := read()) not in tuple(keys):
        pass
    print(key)
    return key


def check_terminal(question: str) -> None:
    """Raise a :class:`UserError` unless somebody is there to answer."""
    if not sys.stdin.isatty():
        raise UserError(f"Nobody is there to answer: {question} A robot is deployed from a terminal.")


def _has_termios() -> bool:
    try:
        import termios  # noqa: F401
    except ImportError:  # not on Windows
        return False
    return True


def _read_key() -> str:
    """Ctrl-C stays what it is."""
    import os
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        pressed = os.read(descriptor, 1)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
    if not pressed:
        raise UserError("The terminal was closed before the question was answered.")
    return pressed.decode(errors="replace").lower()


def _read_line() -> str:
    return input().strip().lower()[:1]
