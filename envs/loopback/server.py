"""The loopback robot as its owner sees it."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.envs.arms.panda import HOME_JOINTS
from vjepa_sim.envs.errors import UserError

STARTING = 60.0  # s; a busy machine takes its time to import
ANSWERING = 10.0  # s
INSTALL = "pip install --no-deps franka-sim==1.1.7"  # its own pins of NumPy and MuJoCo are older than ours
COLLISION = 7  # libfranka's number of cartesian_reflex


class LoopbackRobot:
    """A simulated FR3 behind Franka's network protocol, in a process of its own that ends with its owner.

    A client can't tell it from a robot by its messages, but it is not one: nothing collides, no brake clicks, and on a
    busy machine its clock runs slower than the wall's.

    Attributes:
        host: the address a client connects to.
    """

    def __init__(self, host: str = "127.0.0.1", joints: np.ndarray = HOME_JOINTS, hand: bool = False):
        """
        Args:
            host: an IP address of the loopback network, such as 127.0.0.1; the protocol's ports are fixed, so two
                robots need two addresses.
            joints: [7], radians, to start at.
            hand: whether there is a Franka Hand too.

        Raises:
            UserError: franka-sim is missing, the address is another machine's or in use.
        """
        _check(host)
        self.host = host
        self._lock = threading.Lock()
        self._pipe, theirs = Pipe()
        numbers = [repr(float(joint)) for joint in joints]
        arguments = [str(theirs.fileno()), host, "hand" if hand else "none", *numbers]
        # Not multiprocessing's spawn: that would first import the owner's main module, with all that it needs.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vjepa_sim.envs.loopback.process", *arguments],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _import_path()},
            start_new_session=True,  # Ctrl-C is for the owner
        )
        theirs.close()
        try:
            self._receive(STARTING)
        except OSError as error:
            self.close()
            raise UserError(f"The loopback robot can't listen on {error}. Is another one running there?") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LoopbackRobot:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the robot. A client sees its connection break. Safe to call twice."""
        self.kill()
        self._pipe.close()

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._process.pid

    def joints(self) -> np.ndarray:
        """[7], radians, where the arm really is."""
        return self._ask("joints")

    def flange(self) -> np.ndarray:
        """Pose [4, 4] of the flange in the base frame, where the arm really is."""
        return self._ask("flange")

    def moving(self) -> float:
        """Speed of the fastest joint, rad/s."""
        return self._ask("speed")

    # --- faults ---------------------------------------------------------------------------------------------------

    def reflex(self, code: int = COLLISION) -> None:
        """The robot stops itself; ``code`` is the number of an error in libfranka's list."""
        self._ask("reflex", code)

    def user_stop(self, stopped: bool) -> None:
        """Somebody presses or releases the stop button."""
        self._ask("user_stop", stopped)

    def force(self, force: np.ndarray) -> None:
        """The robot reports a force [3] in newtons, base frame, from now on; nothing really pushes the arm.

        If it exceeds what a client called a collision, on any axis, the robot stops itself.
        """
        self._ask("force", np.asarray(force, float))

    def drop_tcp(self) -> None:
        """The connection for commands breaks; a new one is possible."""
        self._ask("drop_tcp")

    def stall(self) -> None:
        """The robot falls silent, with all its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after :meth:`stall`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """The power goes."""
        self._process.kill()
        self._process.wait()

    # --- the process ------------------------------------------------------------------------------------------------

    def _ask(self, *question: object) -> Any:
        with self._lock:
            try:
                self._pipe.send(question)
                return self._receive(ANSWERING)
            except (EOFError, ConnectionError):
                raise RuntimeError(f"The loopback robot at {self.host} has died.") from None

    def _receive(self, timeout: float) -> Any:
        if not self._pipe.poll(timeout):
            raise TimeoutError(f"The loopback robot at {self.host} does not answer.")
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _check(host: str) -> None:
    if importlib.util.find_spec("franka_sim") is None:
        raise UserError(f"The loopback robot needs franka-sim, which is not installed: {INSTALL}")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise UserError(f"The loopback robot listens on this machine only; {host!r} is no address like 127.0.0.1.")


def _import_path() -> str:
    """So that the child finds this package, installed or not."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
