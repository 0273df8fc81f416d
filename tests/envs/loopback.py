"""Helpers around the loopback robot."""

from __future__ import annotations

import itertools
import os
import socket
import time

FCI_PORT, HAND_PORT = 1337, 1338  # fixed by the protocol, so robots differ in their addresses
REST = 0.01  # rad/s
_numbers = itertools.count()


def free_address() -> str:
    """A loopback address that no other robot, worker or run of the tests uses at the same time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in _numbers:
        address = f"127.{8 + worker}.{os.getpid() % 250 + 1}.{number % 250 + 1}"
        if all(_free(address, port) for port in (FCI_PORT, HAND_PORT)):
            return address
    raise AssertionError


def wait_until(condition, timeout: float = 20.0) -> None:
    """The robot's clock is slower than ours on a busy machine: nothing is so after a fixed time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.005)


def wait_for_rest(robot, timeout: float = 20.0) -> None:
    """Until it stays at rest: an arm that is pushed back stands still for a moment, too."""

    def rests() -> bool:
        for _ in range(10):
            if robot.moving() > REST:
                return False
            time.sleep(0.005)
        return True

    wait_until(rests, timeout)


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
