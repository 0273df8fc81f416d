"""Questions to the person at the robot."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vjepa_sim.envs.errors import UserError


def ask_key(question: str, keys: str) -> str:
    """Wait for one of some keys, without Enter where the terminal can do that.

    Args:
        question: shown before.
        keys: lower-case letters that are answers.

    Raises:
        UserError: nobody is there to answer.
    """
    _check_terminal(question)
    print(question, end=" ", flush=True)
    with _single_keys() as read:
        while (key := read().lower()) not in tuple(keys):
            pass
    print(key)
    return key


def ask(question: str) -> bool:
    """A yes or a no, with Enter: for what should not happen by a slip of the finger.

    What was typed before the question is no answer to it.

    Raises:
        UserError: nobody is there to answer.
    """
    _check_terminal(question)
    _forget_typed()
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _forget_typed() -> None:
    try:
        import termios
    except ImportError:  # not on Windows
        return
    termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _check_terminal(question: str) -> None:
    if not sys.stdin.isatty():
        raise UserError(f"Nobody is there to answer: {question} A robot is moved from a terminal.")


@contextmanager
def _single_keys() -> Iterator[Callable[[], str]]:
    """Something that reads a key at a time, or the first letter of a line without termios. Ctrl-C works on."""
    try:
        import termios
        import tty
    except ImportError:  # not on Windows
        yield lambda: input().strip()[:1]
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)  # and forget what was typed before the question
        yield lambda: _read(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int) -> str:
    pressed = os.read(descriptor, 1)
    if not pressed:
        raise UserError("The terminal was closed before the question was answered.")
    return pressed.decode(errors="replace")
