"""A real gripper with non-blocking calls."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from vjepa_sim.envs.faults import GripperFault, NotFinite
from vjepa_sim.envs.leash import GRIPPER_DEADBAND
from vjepa_sim.envs.timeout import bounded

FIRST_READING = 10.0  # s; a Robotiq that is switched off is detected after 4 s
CLOSING = 2.0  # s for the calls in progress, and as long again for the driver
ROUNDING = 1e-9  # 0.6 - 0.5 is a little less than 0.1


class GripperDriver(Protocol):
    """The blocking calls of one kind of gripper. Any exception that they raise is a fault.

    :meth:`read` and :meth:`move` are called from two threads at once.
    """

    @property
    def needs(self) -> str:
        """In words, what must be done before the fingers can be moved; empty if nothing."""
        ...

    def activate(self) -> None:
        """Do what it :attr:`needs`, if a program may; the fingers may open and close fully. Returns when it is done."""
        ...

    def read(self) -> float:
        """Measured closedness, 0 open to 1 closed."""
        ...

    def move(self, closedness: float) -> None:
        """Move the fingers to a closedness in [0, 1]; returns when they are there, hold something, or at once."""
        ...

    def close(self) -> None:
        """Disconnect without moving the fingers."""
        ...


class Gripper:
    """Reads and commands a gripper in two threads of its own. After a fault nothing more is read or sent."""

    def __init__(self, driver: GripperDriver, poll_period: float = 0.05):
        """Wait for a first reading, at most 10 s, and start the threads.

        Args:
            driver: driver that this gripper closes, also if there is no reading.
            poll_period: seconds between two readings.

        Raises:
            GripperFault: the first reading failed.
        """
        self.driver = driver
        self.poll_period = poll_period
        self._changed = threading.Condition()  # guards everything below
        self._waiting: float | None = None
        self._stopped = self._closed = False
        self._fault: GripperFault | None = None
        self._reported = False
        self._closedness, self._read_at = 0.0, -math.inf
        try:
            bounded(self._measure, FIRST_READING)
        except Exception as error:
            self._fail(error)
            # An error while closing matters less than the fault before it.
            with contextlib.suppress(Exception):
                bounded(driver.close, CLOSING)
        self.check()
        self._commanded = self._closedness
        self._threads = [
            threading.Thread(target=self._guard, args=(loop,), name=f"gripper {loop.__name__}", daemon=True)
            for loop in (self._poll, self._carry_out)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def closedness(self) -> float:
        """Newest measured closedness, 0 open to 1 closed."""
        with self._changed:
            return self._closedness

    @property
    def commanded(self) -> float:
        """Newest commanded closedness, 0 open to 1 closed; before the first command, the first measured one."""
        with self._changed:
            return self._commanded

    @property
    def age(self) -> float:
        """Seconds since the newest reading. It grows while a reading hangs; the arm has a limit for it."""
        with self._changed:
            return time.monotonic() - self._read_at

    @property
    def needs(self) -> str:
        """In words, what must be done before the fingers can be moved; empty if nothing.

        Raises:
            GripperFault: see :meth:`check`.
        """
        self.check()
        return self.driver.needs

    def activate(self) -> None:
        """Do what it :attr:`needs`, if anything; the fingers may open and close fully.

        Raises:
            GripperFault: see :meth:`check`; or the activation failed, which is a fault that persists.
        """
        if not self.needs:
            return
        try:
            self.driver.activate()
            self._measure()
        except Exception as error:
            self._fail(error)
        self.check()
        with self._changed:
            self._commanded = self._closedness

    def command(self, closedness: float) -> None:
        """Move the fingers as soon as the driver is free; a command that still waits is replaced.

        A change smaller than the deadband is not sent, unless its target is 0 or 1: after a command of 0.95 the fingers
        can still be closed fully. Nothing is sent after :meth:`close`.

        Args:
            closedness: clipped to [0, 1].

        Raises:
            NotFinite: the closedness is not finite; nothing is sent.
            GripperFault: see :meth:`check`.
        """
        if not math.isfinite(closedness):
            raise NotFinite(f"The commanded closedness is {closedness}.")
        self.check()
        closedness = min(max(float(closedness), 0.0), 1.0)
        with self._changed:
            change = abs(closedness - self._commanded)
            at_an_end = change > 0 and closedness in (0.0, 1.0)
            if self._stopped or not (at_an_end or change >= GRIPPER_DEADBAND - ROUNDING):
                return
            self._commanded = self._waiting = closedness
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the first fault, if any.

        Raises:
            GripperFault: a reading or a move failed; its cause is the driver's own exception.
        """
        with self._changed:
            if self._fault is None:
                return
            self._reported = True
            fault = self._fault
        raise fault.with_traceback(None)  # a traceback would grow each time it is raised

    def close(self) -> None:
        """Stop both threads and close the driver, within 4 s even if it hangs. A waiting command is dropped.

        Raises:
            GripperFault: a fault that :meth:`check` has not raised yet, or that occurred while closing. All but a
                call that hangs is closed then.
        """
        with self._changed:
            if self._closed:
                return
            self._closed = self._stopped = True
            self._waiting = None
            self._changed.notify_all()
        deadline = time.monotonic() + CLOSING
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
            if thread.is_alive():
                self._fail(TimeoutError(f"the thread {thread.name!r} still waits for the hardware"))
        try:
            bounded(self.driver.close, CLOSING)
        except Exception as error:
            self._fail(error)
        with self._changed:
            reported = self._reported
        if not reported:
            self.check()

    def _measure(self) -> None:
        closedness = float(self.driver.read())
        if not math.isfinite(closedness):
            raise GripperFault(f"{type(self.driver).__name__} measured {closedness}.")
        with self._changed:
            self._closedness, self._read_at = closedness, time.monotonic()

    def _poll(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, self.poll_period):
                    return
            self._measure()

    def _carry_out(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._waiting is not None)
                target = self._waiting
                if self._stopped or target is None:
                    return
                self._waiting = None
            self.driver.move(target)

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Keep the first fault; later ones, often its consequences, become its notes."""
        fault = self._as_fault(error)
        with self._changed:
            if self._fault is None:
                self._fault = fault
            else:
                self._fault.add_note(f"Then: {fault}")
            self._stopped = True
            self._changed.notify_all()

    def _as_fault(self, error: Exception) -> GripperFault:
        if isinstance(error, GripperFault):
            return error
        fault = GripperFault(f"{type(self.driver).__name__}: {type(error).__name__}: {str(error).rstrip('.')}.")
        fault.__cause__ = error
        return fault
