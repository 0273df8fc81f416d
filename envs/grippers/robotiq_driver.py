"""The Robotiq 2F-85, over its serial cable."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import GripperFault

CLOSED = 230  # raw position of closed fingers; 3 is open, 255 the end of the scale. As in DROID.
ACTIVATED = 3  # gSTA
NOT_ACTIVE = 7  # gFLT of one that was sent somewhere before it was activated


class Robotiq2F85:
    """Blocking calls to a Robotiq 2F-85, a :class:`.GripperDriver`.

    Attributes:
        speed: 0 to 255, that is 20 to 150 mm/s.
        force: 0 to 255, that is 20 to 235 N; above 0 the gripper grips again what slips.
    """

    def __init__(self, port: str, speed: int = 255, force: int = 30):
        """Connect; the fingers stay as they are.

        Args:
            port: serial device, e.g. ``/dev/serial/by-id/usb-...`` or ``/dev/ttyUSB0``.
            speed: see the class.
            force: see the class.

        Raises:
            UserError: pyrobotiqgripper is not installed.
            GripperFault: no gripper answers there (after 4 s), or it reports a fault.
        """
        try:
            import pyrobotiqgripper
        except ImportError as error:
            raise UserError('A Robotiq gripper needs pyrobotiqgripper: pip install "vjepa-sim[robotiq]"') from error
        self.port, self.speed, self.force = port, speed, force
        self._one_at_a_time = threading.Lock()
        self._closed = False
        # In two steps: when __init__ fails, the port it has opened must be closed, or nobody else can open it.
        self._gripper = object.__new__(pyrobotiqgripper.RobotiqGripper)
        try:
            self._gripper.__init__(com_port=port)
        except Exception as error:
            self._gripper.disconnect()
            what = f"No Robotiq gripper answers on {port} (may you read and write it?): {error}"
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
            Exception: pyrobotiqgripper's, after 5 s.
        """
        with self._connection():
            self._gripper.activate(reset=False)
            self._active = True

    def read(self) -> float:
        """Measured closedness, 0 open to 1 closed: the raw position / 230, which is 0.013 when open.

        Raises:
            GripperFault: it is no longer active, because it lost power.
            Exception: pyrobotiqgripper's for a fault of the gripper; pymodbus' or the serial port's when it is
                unplugged or hasn't answered for 4 s.
        """
        with self._connection():
            active = self._active
            self._gripper.readStatus(raiseOnFault=active)  # one that isn't active may say so by a fault
            status = self._gripper.status(refreshStatus=False)
        if active and status["gSTA"] != ACTIVATED:
            raise GripperFault(f"The gripper on {self.port} is no longer active: did it lose power?")
        return min(max(float(status["gPO"]) / CLOSED, 0.0), 1.0)

    def move(self, closedness: float) -> None:
        """Send the fingers to a closedness in [0, 1]; returns at once. They grip what they meet.

        Raises:
            Exception: as :meth:`read`.
        """
        with self._connection():
            # start=True: all in one message, and no guess from time stamps of 1 ms whether the gripper has started.
            self._gripper.move(round(closedness * CLOSED), self.speed, self.force, wait=False, start=True)

    def close(self) -> None:
        """Close the port, without waiting for a call that is under way; the fingers stay as they are."""
        self._closed = True
        self._gripper.disconnect()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[None]:
        """One message at a time, and none once closed: pymodbus would open the port again."""
        with self._one_at_a_time:
            if self._closed:
                raise GripperFault(f"The gripper on {self.port} was closed.")
            try:
                yield
            finally:
                if self._closed:
                    self._gripper.disconnect()
