"""Questions to the operator of a robot."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vjepa_sim.envs.errors import UserError


def ask_key(question: str, keys: str) -> str:
    """Wait for one of some keys, without Enter where the terminal supports it.

    Args:
        question: question to show.
        keys: valid answers, lower-case letters.

    Returns:
        The key.

    Raises:
        UserError: there is no terminal.
    """
    _check_terminal(question)
    print(question, end=" ", flush=True)
    with _single_keys() as read:
        while (key := read().lower()) not in tuple(keys):
            pass
    print(key)
    return key


def ask(question: str) -> bool:
    """Ask a yes-or-no question that needs Enter, so that a single wrong key is no answer.

    Input typed before the question is discarded.

    Args:
        question: question to show.

    Returns:
        Whether the answer is yes.

    Raises:
        UserError: there is no terminal.
    """
    _check_terminal(question)
    _discard_input()
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _discard_input() -> None:
    try:
        import termios
    except ImportError:  # not on Windows
        return
    termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _check_terminal(question: str) -> None:
    if not sys.stdin.isatty():
        raise UserError(f"There is no terminal to answer: {question} Moving a robot needs an operator at a terminal.")


@contextmanager
def _single_keys() -> Iterator[Callable[[], str]]:
    """A function that reads one key, or the first letter of a line without termios. Ctrl-C stays effective."""
    try:
        import termios
        import tty
    except ImportError:  # not on Windows
        yield lambda: input().strip()[:1]
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)  # discards input typed before the question
        yield lambda: _read(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int) -> str:
    pressed = os.read(descriptor, 1)
    if not pressed:
        raise UserError("The terminal was closed before the question was answered.")
    return pressed.decode(errors="replace")
