"""Monitor of libfranka's own connection to a robot."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

PORT = 1337  # port of Franka's protocol
FILES = Path("/proc/self/fd")  # Linux only; elsewhere a closed connection is detected as a silent robot


class Connection:
    """Detects at once that the robot has closed the connection.

    libfranka checks its command connection only after a packet of states has arrived, for which it waits up to a
    second.
    """

    def __init__(self, host: str):
        """
        Args:
            host: address of a robot to which this process is connected.
        """
        self._socket = _find(host)
        if self._socket is not None:
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLRDHUP)

    @property
    def lost(self) -> bool:
        """Whether the robot has closed the connection; returns at once."""
        return self._socket is not None and bool(self._poll.poll(0))

    def close(self) -> None:
        """End the monitoring; libfranka closes the connection itself."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _find(host: str) -> socket.socket | None:
    """A duplicate handle of the connection, so that its file descriptor is not reused meanwhile."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)}
        sockets = [int(file.name) for file in FILES.iterdir() if file.is_socket()]
    except OSError:
        return None
    for number in sockets:
        found = socket.socket(fileno=os.dup(number))
        if _peer(found) in {(address, PORT) for address in addresses}:
            return found
        found.close()
    return None


def _peer(found: socket.socket) -> tuple[str, int] | None:
    try:
        return found.getpeername()[:2] if found.type == socket.SOCK_STREAM else None
    except OSError:
        return None
