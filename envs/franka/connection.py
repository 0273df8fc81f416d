"""libfranka's own connection to a robot, looked at from outside."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

PORT = 1337  # of Franka's protocol
FILES = Path("/proc/self/fd")  # Linux; nobody else can tell, and a robot that hangs up is then merely silent


class Connection:
    """Tells at once that the robot has hung up.

    libfranka looks at its connection for commands only after a packet of states has come, and it waits for one up to a
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
        """Whether the other end is gone; never waits."""
        return self._socket is not None and bool(self._poll.poll(0))

    def close(self) -> None:
        """Look no more; the connection itself is libfranka's to close."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _find(host: str) -> socket.socket | None:
    """A second handle of the connection, so that its number can't become another file's meanwhile."""
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
