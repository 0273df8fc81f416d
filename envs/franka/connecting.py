"""Connecting to a robot without waiting for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vjepa_sim.envs.faults import ConnectionLost
from vjepa_sim.envs.timeout import bounded

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
    try:
        return bounded(connect, CONNECT_TIMEOUT)
    except TimeoutError:
        raise ConnectionLost(
            f"No answer from the robot at {host} in {CONNECT_TIMEOUT:g} s; another program may hold it."
        ) from None
