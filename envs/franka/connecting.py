"""Connecting to a robot without waiting for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from envs.faults import ConnectionLost

T = TypeVar("T")
CONNECT_TIMEOUT = 10.0  # s


def connect_in_time(connect: Callable[[], T], host: str) -> T:
    """Call something that never returns while another client holds the robot.

    Args:
        connect: makes the connection; lets go of it when its result is dropped.
        host: of the robot, for the message.

    Raises:
        ConnectionLost: no answer in time.
        Exception: what ``connect`` raised.
    """
    found: list[T] = []
    errors: list[Exception] = []
    lock, late = threading.Lock(), threading.Event()

    def run() -> None:
        try:
            connection = connect()
        except Exception as error:
            errors.append(error)
            return
        with lock:
            if not late.is_set():  # else it is let go of, or nobody could have the robot any more
                found.append(connection)

    thread = threading.Thread(target=run, name="connect", daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    with lock:
        late.set()
    if errors:
        raise errors[0]
    if not found:
        raise ConnectionLost(
            f"No answer from the robot at {host} in {CONNECT_TIMEOUT:g} s; another program may hold it."
        )
    return found[0]
