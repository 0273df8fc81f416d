"""The newest result of a call that may block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Repeats a call in a thread of its own, so that its newest result is available without waiting.

    The first exception ends the thread, and is raised by every :meth:`get` from then on.
    """

    def __init__(self, call: Callable[[], T], pause: float):
        """Call once, in the caller's thread, and start.

        Args:
            call: the function.
            pause: seconds between a result and the next call.

        Raises:
            Exception: the exception of the first call.
        """
        self._call, self._pause = call, pause
        self._result: T = call()
        self._error: Exception | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="newest", daemon=True)
        self._thread.start()

    def get(self) -> T:
        """The newest result, without waiting.

        Raises:
            Exception: the exception that the call raised.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)  # a traceback would grow each time it is raised
        return self._result

    def end(self) -> None:
        """Start no further call; one in progress continues."""
        self._closed.set()

    def join(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the thread to end; returns whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closed.wait(self._pause):
            try:
                self._result = self._call()
            except Exception as error:
                self._error = error
                return
