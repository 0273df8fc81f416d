"""Orderly ends: Ctrl-C that waits until the work at hand is whole, and signals that end a program as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A closed terminal, and the end of a service, a container or a batch job.
ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupt:
    """Whether Ctrl-C was pressed.

    Attributes:
        noted: True from then on.
    """

    def __init__(self) -> None:
        self.noted = False


@contextmanager
def noted_interrupt() -> Iterator[Interrupt]:
    """Note the first Ctrl-C, or another signal that ends the program, instead of raising it; a second one is raised at
    once.

    Whoever works looks at :attr:`Interrupt.noted` when a part is done, and raises KeyboardInterrupt. In other threads
    than the main one, which can't receive signals, nothing is ever noted.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDINGS)}

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def note(number, frame) -> None:
        interrupt.noted = True
        restore()

    for number, handler in usual.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, note)
    try:
        yield interrupt
    finally:
        restore()


@contextmanager
def endings_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does; a signal that is ignored stays ignored.

    Only the main thread receives signals; in another one, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.getsignal(number) for number in ENDINGS}
    for number, handler in usual.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
