"""Connecting to a robot with a time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ConnectionLost
from vjepa_sim.envs.timeout import bounded

T = TypeVar("T")
CONNECT_TIMEOUT = 10.0  # s


def connect_in_time(connect: Callable[[], T], host: str) -> T:
    """Connect to a robot, within 10 s: while another client holds it, the call would never return.

    Args:
        connect: opens the connection; it is closed when the result is dropped.
        host: address of the robot, for the message.

    Raises:
        ConnectionLost: no answer in time.
        Exception: the exception that ``connect`` raised.
    """
    try:
        return bounded(connect, CONNECT_TIMEOUT)
    except TimeoutError:
        raise ConnectionLost(
            f"No answer from the robot at {host} in {CONNECT_TIMEOUT:g} s; another program may hold it."
        ) from None


class Connected:
    """Base class of drivers that hold a client library's robot until they are closed."""

    _host: str
    _robot: Any  # the library's robot; None once it was closed

    @property
    def _connected(self) -> Any:
        """The library's robot. Raises :class:`.UserError` after it was closed."""
        if self._robot is None:
            raise UserError(f"The connection to the robot at {self._host} was closed; open a new one.")
        return self._robot
