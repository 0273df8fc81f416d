"""The newest answer of a call that may block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Asks again and again in a thread of its own, so that nobody else ever has to wait for an answer.

    The first error ends it, and is raised by every :meth:`get` from then on.
    """

    def __init__(self, ask: Callable[[], T], pause: float):
        """Ask once, in the caller's thread, and start.

        Args:
            ask: the call.
            pause: seconds between an answer and the next question.

        Raises:
            Exception: whatever the first call raises.
        """
        self._ask, self._pause = ask, pause
        self._answer: T = ask()
        self._error: Exception | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="newest", daemon=True)
        self._thread.start()

    def get(self) -> T:
        """The newest answer, without waiting.

        Raises:
            Exception: what the call raised.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)  # the same one again and again would grow
        return self._answer

    def end(self) -> None:
        """Ask no more; a call that is under way is left alone."""
        self._closed.set()

    def join(self, timeout: float) -> bool:
        """Wait until nothing is being asked any more, at most ``timeout`` seconds; returns whether it is so."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closed.wait(self._pause):
            try:
                self._answer = self._ask()
            except Exception as error:
                self._error = error
                return
