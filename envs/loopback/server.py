"""The loopback robot, for the process that starts it."""

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

STARTING = 60.0  # s; imports take long on a busy machine
ANSWERING = 10.0  # s
INSTALL = "pip install --no-deps franka-sim==1.1.7"  # it pins older versions of NumPy and MuJoCo
COLLISION = 7  # libfranka's number of cartesian_reflex


class LoopbackRobot:
    """A simulated FR3 that speaks Franka's network protocol, in a process of its own that ends with its parent.

    Its messages are those of a real robot. But nothing collides, there are no brakes, and on a busy machine its clock
    runs slower than real time.

    Attributes:
        host: address that a client connects to.
    """

    def __init__(self, host: str = "127.0.0.1", joints: np.ndarray = HOME_JOINTS, hand: bool = False):
        """
        Args:
            host: IP address of the loopback network, such as 127.0.0.1; the protocol's ports are fixed, so two robots
                need two addresses.
            joints: start posture [7], radians.
            hand: whether it has a Franka Hand.

        Raises:
            UserError: franka-sim is missing, or the address is not a loopback address or is in use.
        """
        _check(host)
        self.host = host
        self._lock = threading.Lock()
        self._pipe, theirs = Pipe()
        numbers = [repr(float(joint)) for joint in joints]
        arguments = [str(theirs.fileno()), host, "hand" if hand else "none", *numbers]
        # Not multiprocessing's spawn: that would first import the parent's main module.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vjepa_sim.envs.loopback.process", *arguments],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _import_path()},
            start_new_session=True,  # Ctrl-C is for the parent
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
        """End the robot; clients lose their connections. May be called twice."""
        self.kill()
        self._pipe.close()

    @property
    def pid(self) -> int:
        """Process ID of the robot."""
        return self._process.pid

    def joints(self) -> np.ndarray:
        """True joint positions of the arm [7], radians."""
        return self._ask("joints")

    def flange(self) -> np.ndarray:
        """True flange pose [4, 4] in the base frame, metres."""
        return self._ask("flange")

    def moving(self) -> float:
        """Speed of the fastest joint, rad/s."""
        return self._ask("speed")

    # --- faults ---------------------------------------------------------------------------------------------------

    def reflex(self, code: int = COLLISION) -> None:
        """Trigger the robot's own safety reflex; ``code`` is the number of an error in libfranka's list."""
        self._ask("reflex", code)

    def user_stop(self, stopped: bool) -> None:
        """Press or release the stop button."""
        self._ask("user_stop", stopped)

    def force(self, force: np.ndarray) -> None:
        """Make the robot report an external force [3] in newtons, base frame, from now on; the arm is not pushed.

        If it exceeds the client's collision threshold on any axis, the robot's safety reflex stops the arm.
        """
        self._ask("force", np.asarray(force, float))

    def drop_tcp(self) -> None:
        """Close the command connection; a client may connect again."""
        self._ask("drop_tcp")

    def stall(self) -> None:
        """Make the robot silent, with all its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after :meth:`stall`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the robot as by a loss of power."""
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
    """``PYTHONPATH`` with which the child process finds this package, installed or not."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
