"""The Robotiq 2F-85, over its serial cable."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import GripperFault

CLOSED = 230  # raw position of closed fingers, as in DROID; 3 is open, 255 the end of the scale
ACTIVATED = 3  # gSTA
NOT_ACTIVE = 7  # gFLT of a gripper that got a command before its activation


class Robotiq2F85:
    """Blocking calls to a Robotiq 2F-85, a :class:`.GripperDriver`.

    Attributes:
        speed: raw speed, 0 to 255 for 20 to 150 mm/s.
        force: raw force, 0 to 255 for 20 to 235 N; above 0 the gripper re-grips an object that slips.
    """

    def __init__(self, port: str, speed: int = 255, force: int = 30):
        """Connect without moving the fingers.

        Args:
            port: serial device, e.g. ``/dev/serial/by-id/usb-...`` or ``/dev/ttyUSB0``.
            speed: see the class.
            force: see the class.

        Raises:
            UserError: pyrobotiqgripper is not installed.
            GripperFault: another program uses the port, no gripper answers there within 4 s, or it reports a fault.
        """
        try:
            import pyrobotiqgripper
        except ImportError as error:
            raise UserError('A Robotiq gripper needs pyrobotiqgripper: pip install "vjepa-sim[robotiq]"') from error
        _check_free(port)
        self.port, self.speed, self.force = port, speed, force
        self._one_at_a_time = threading.Lock()
        self._closed = False
        # In two steps: when __init__ fails, the port that it has opened must be closed for other programs.
        self._gripper = object.__new__(pyrobotiqgripper.RobotiqGripper)
        try:
            self._gripper.__init__(com_port=port)
        except Exception as error:
            self._gripper.disconnect()
            what = f"No Robotiq gripper answers on {port} (do you have read and write permission?): {error}"
            raise GripperFault(f"{what.rstrip('.')}.") from error
        status = self._gripper.status(refreshStatus=False)
        fault = int(status["gFLT"])
        if fault in pyrobotiqgripper.GFLT_BLOCKING and fault != NOT_ACTIVE:
            self._gripper.disconnect()
            raise GripperFault(
                f"The gripper on {port} reports fault {fault} of its manual. Free its fingers, then switch its power "
                "off and on, which clears it; it opens and closes fully when it is used next."
            )
        self._active = status["gSTA"] == ACTIVATED

    @property
    def needs(self) -> str:
        """Activation, once after power-up."""
        return "" if self._active else "it isn't active: the first reset opens and closes it fully"

    def activate(self) -> None:
        """**Opens and closes the fingers fully.**

        Raises:
            Exception: pyrobotiqgripper's exception, after 5 s.
        """
        with self._connection():
            self._gripper.activate(reset=False)
            self._active = True

    def read(self) -> float:
        """Measured closedness, 0 open to 1 closed: the raw position / 230, which is 0.013 when open.

        Raises:
            GripperFault: the gripper is no longer active, because it lost power.
            Exception: pyrobotiqgripper's exception for a fault of the gripper; that of pymodbus or the serial port
                when the gripper is unplugged or has not answered for 4 s.
        """
        with self._connection():
            active = self._active
            self._gripper.readStatus(raiseOnFault=active)  # a gripper that isn't active may report a fault
            status = self._gripper.status(refreshStatus=False)
        if active and status["gSTA"] != ACTIVATED:
            raise GripperFault(f"The gripper on {self.port} is no longer active: did it lose power?")
        return min(max(float(status["gPO"]) / CLOSED, 0.0), 1.0)

    def move(self, closedness: float) -> None:
        """Move the fingers to a closedness in [0, 1]; returns at once. They hold an object between them.

        Raises:
            Exception: see :meth:`read`.
        """
        with self._connection():
            # start=True: one message, and no guess from time stamps of 1 ms whether the motion has started.
            self._gripper.move(round(closedness * CLOSED), self.speed, self.force, wait=False, start=True)

    def close(self) -> None:
        """Close the port without moving the fingers, and without waiting for a call in progress."""
        self._closed = True
        self._gripper.disconnect()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[None]:
        """One message at a time, and none after :meth:`close`: pymodbus would open the port again."""
        with self._one_at_a_time:
            if self._closed:
                raise GripperFault(f"The gripper on {self.port} was closed.")
            try:
                yield
            finally:
                if self._closed:
                    self._gripper.disconnect()


def _check_free(port: str) -> None:
    """Raise :class:`.GripperFault` if another program has the serial port open; other errors show when it is opened."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        descriptor = -1
        try:
            descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as serial libraries lock it
        except OSError as error:
            if error.errno in (errno.EBUSY, errno.EAGAIN):
                raise GripperFault(
                    f"Another program uses the serial port {port}; `fuser -v {port}` shows which one. End it."
                ) from None
            raise
        finally:
            if descriptor >= 0:
                os.close(descriptor)
