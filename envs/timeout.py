"""Calls into hardware that may never return."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def bounded(call: Callable[[], T], seconds: float) -> T:
    """What a blocking call returns.

    Args:
        call: takes no arguments. It runs in a daemon thread of its own, and is left behind there if it hangs.
        seconds: how long to wait for it. What comes later is let go of: a connection that nobody has any more must not
            keep others from theirs.

    Raises:
        TimeoutError: there is no answer yet.
        Exception: whatever the call raised.
    """
    answers: list[tuple[T | None, Exception | None]] = []
    lock, late = threading.Lock(), threading.Event()

    def run() -> None:
        try:
            answer = call(), None
        except Exception as error:
            answer = None, error
        with lock:
            if not late.is_set():
                answers.append(answer)

    thread = threading.Thread(target=run, name="bounded call", daemon=True)
    thread.start()
    thread.join(seconds)
    with lock:
        late.set()
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    result, error = answers[0]
    if error is not None:
        raise error
    return result
