"""A real gripper that nobody ever has to wait for."""

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

FIRST_READING = 10.0  # s; a Robotiq that is switched off takes 4 s to be found out
CLOSING = 2.0  # s for the calls that are under way, and as long again for the driver
ROUNDING = 1e-9  # 0.6 - 0.5 is a little less than 0.1


class GripperDriver(Protocol):
    """The blocking calls of one kind of gripper. Any exception they raise is a fault.

    :meth:`read` and :meth:`move` are called from two threads at once.

    Attributes:
        needs: what must be done before it can be sent anywhere, in words; empty when nothing must.
    """

    needs: str

    def activate(self) -> None:
        """Do what it :attr:`needs`, if a program may; fingers may move fully to and fro. Returns when it is done."""
        ...

    def read(self) -> float:
        """Measured closedness, 0 open to 1 closed."""
        ...

    def move(self, closedness: float) -> None:
        """Send the fingers to a closedness in [0, 1]; returns when they are there, hold something, or at once."""
        ...

    def close(self) -> None:
        """Let go of the connection; the fingers stay as they are."""
        ...


class Gripper:
    """Measures and commands a gripper in two threads of its own. After a fault nothing more is read or sent."""

    def __init__(self, driver: GripperDriver, poll_period: float = 0.05):
        """Wait for a first reading, at most 10 s, and start the threads.

        Args:
            driver: belongs to this gripper from now on; it is closed if there is no reading.
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
            # What the driver says while it closes matters less than why it is closed.
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
        """As last measured, 0 open to 1 closed."""
        with self._changed:
            return self._closedness

    @property
    def commanded(self) -> float:
        """The newest command that was taken, 0 open to 1 closed; before the first, where the fingers were found."""
        with self._changed:
            return self._commanded

    @property
    def age(self) -> float:
        """Seconds since the last good reading. It grows while a reading hangs; how long it may is up to the arm."""
        with self._changed:
            return time.monotonic() - self._read_at

    @property
    def needs(self) -> str:
        """What must be done before it can be sent anywhere, in words; empty when nothing must.

        Raises:
            GripperFault: as :meth:`check`.
        """
        self.check()
        return self.driver.needs

    def activate(self) -> None:
        """Do that; the fingers may move fully to and fro. Nothing happens when there is nothing to do.

        Raises:
            GripperFault: as :meth:`check`; or it failed, which is a fault that stays.
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
        """Send the fingers somewhere as soon as the hardware is free; a command that still waits is replaced.

        A change smaller than the deadband is not sent, unless it leads to an end: fingers told to 0.95 can be closed.
        Nothing is sent once the gripper is closed.

        Args:
            closedness: clipped to [0, 1].

        Raises:
            NotFinite: it is not a finite number. Nothing is sent.
            GripperFault: as :meth:`check`.
        """
        if not math.isfinite(closedness):
            raise NotFinite(f"the gripper was sent to {closedness}.")
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
        """Raise what went wrong, if anything did.

        Raises:
            GripperFault: a reading or a move failed; its cause is the driver's own exception.
        """
        with self._changed:
            if self._fault is None:
                return
            self._reported = True
            fault = self._fault
        raise fault.with_traceback(None)  # or it grows with every call

    def close(self) -> None:
        """Stop both threads and close the driver, within 4 s even if it hangs. A waiting command is dropped.

        Raises:
            GripperFault: one that :meth:`check` had no occasion to raise, or that closing met. All is closed then,
                but for a call that hangs.
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
                if self._stopped:
                    return
                target, self._waiting = self._waiting, None
            self.driver.move(target)

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Keep the first fault; later ones, often its consequences, become notes of it."""
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
