"""Ctrl-C that waits until the work at hand is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupt:
    """Whether Ctrl-C was pressed.

    Attributes:
        noted: True from then on.
    """

    def __init__(self) -> None:
        self.noted = False


@contextmanager
def noted_interrupt() -> Iterator[Interrupt]:
    """Note the first Ctrl-C instead of raising it; a second one is raised at once.

    Whoever works looks at :attr:`Interrupt.noted` when a part is done, and raises KeyboardInterrupt. In other threads
    than the main one, which can't receive signals, nothing is ever noted.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    usual = signal.getsignal(signal.SIGINT)

    def note(number, frame) -> None:
        interrupt.noted = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, usual)
