"""Time limits for calls into hardware that may never return."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def bounded(call: Callable[[], T], seconds: float) -> T:
    """Run a blocking call with a time limit; returns its result.

    Args:
        call: function without arguments. It runs in a daemon thread of its own, and is left there if it hangs.
        seconds: time limit. A later result is dropped: a connection that nobody uses must not keep out other clients.

    Raises:
        TimeoutError: the call has not returned in time.
        Exception: the exception that the call raised.
    """
    results: list[T] = []
    errors: list[Exception] = []
    lock, late = threading.Lock(), threading.Event()

    def run() -> None:
        try:
            keep(results, call())
        except Exception as error:
            keep(errors, error)

    def keep(answers: list, answer: object) -> None:
        with lock:
            if not late.is_set():
                answers.append(answer)

    thread = threading.Thread(target=run, name="bounded call", daemon=True)
    thread.start()
    thread.join(seconds)
    with lock:
        late.set()
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]
