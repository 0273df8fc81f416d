"""A Franka Hand on a loopback address: franka-sim's gripper server in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection

STARTING = 60.0  # s; a busy machine takes its time to import


def own_address() -> str:
    """A loopback address that no other worker and no other run uses at the same time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"127.7.{worker}.{os.getpid() % 250 + 1}"


class HandServer:
    """The hand's server. Set what is between the fingers, look at the commands that came, stall or kill it."""

    def __init__(self, host: str, object_width: float | None = None):
        self.host = host
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(host, object_width, theirs), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(STARTING):
            self.kill()
            raise TimeoutError("The hand's server did not start.")
        self._pipe.recv()

    def commands(self) -> list[tuple[str, float]]:
        """(name, width) of all commands so far."""
        self._pipe.send("commands")
        return self._pipe.recv()

    def stall(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(host: str, object_width: float | None, pipe: Connection) -> None:
    from franka_sim import FrankaGripperServer, FrankaHandSim

    class SlowHand(FrankaHandSim):
        """Takes its time to move, and refuses to move through an object, as the real one does."""

        def __init__(self):
            super().__init__(object_width=object_width)
            self.commands: list[tuple[str, float]] = []

        def homing(self) -> bool:
            self.commands.append(("homing", self.max_width))
            return super().homing()

        def move(self, width: float, speed: float) -> bool:
            self.commands.append(("move", width))
            self._travel(self._blocked(width), speed)
            super().move(width, speed)
            if abs(self.width - width) > 1e-6:
                raise RuntimeError("something is in the way")
            return True

        def grasp(self, width: float, epsilon_inner: float, epsilon_outer: float, speed: float, force: float) -> bool:
            self.commands.append(("grasp", width))
            self._travel(self._blocked(0.0), speed)
            return super().grasp(width, epsilon_inner, epsilon_outer, speed, force)

        def _travel(self, width: float, speed: float) -> None:
            start, began = self.width, time.monotonic()
            while (way := speed * (time.monotonic() - began)) < abs(width - start):
                self.width = start + (way if width > start else -way)
                time.sleep(0.005)

    hand = SlowHand()
    server = FrankaGripperServer(host=host, backend=hand)
    threading.Thread(target=server.run_server, daemon=True).start()
    while not server.running:
        time.sleep(0.01)
    pipe.send("ready")
    try:
        while True:
            pipe.recv()
            pipe.send(list(hand.commands))
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone
