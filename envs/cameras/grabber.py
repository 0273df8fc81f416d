"""A camera as a control loop needs it: the newest picture, and when it came."""

from __future__ import annotations

import atexit
import logging
import math
import threading
import time
from typing import Protocol

import numpy as np

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import StaleCamera
from vjepa_sim.envs.safety import SafetyLimits

FIRST_PICTURE = 5.0  # s: opening takes up to 3, and the first picture is late with most cameras
RETRY_PAUSE = 0.5  # s: short, but no busy loop while a cable is out; FFmpeg complains on stderr each time
CLOSE_TIMEOUT = 10.0  # s: longer than any source may need for one read and one reopening

log = logging.getLogger(__name__)


class EndOfVideo(UserError):
    """A source that has an end, such as a file, has come to it. It is not reopened."""


class FrameSource(Protocol):
    """An opened camera. Every call comes from one thread and ends within seconds, by an error if need be."""

    def read(self) -> np.ndarray:
        """Wait for the next picture: uint8 [H, W, 3] RGB, an array that the source never writes to again.

        Raises:
            EndOfVideo: there will be no more pictures.
            Exception: anything else; the source must be reopened before the next read.
        """

    def reopen(self) -> None:
        """Start afresh after an error. Raises if the camera is still not there; it may be tried again then."""

    def close(self) -> None:
        """Release the camera, also one that is broken."""


class Grabber:
    """Reads a source in a thread of its own and keeps only the newest picture.

    Nobody has to read in time: without a thread, pictures queue up in a driver or a socket and the next one read is
    an old one. After an error the source is reopened, again and again until :meth:`close`.

    Stamps are seconds of ``time.monotonic()`` at which a picture *arrived*. It was exposed somewhat earlier: the
    camera's own delay can't be seen from here.

    Args:
        source: an opened source; the grabber closes it.
        max_age: seconds after which a picture is too old to act on.
        name: what messages call the camera.

    Raises:
        UserError: ``max_age`` is not a positive number.
    """

    def __init__(self, source: FrameSource, max_age: float = SafetyLimits.max_camera_age, name: str = "camera"):
        if not 0 < max_age < math.inf:
            raise UserError(
                f"max_age={max_age!r}: the age of a picture must be limited to a positive number of seconds."
            )
        self.max_age, self.name = max_age, name
        self._source = source
        self._news = threading.Condition()  # guards all that follows
        self._rgb: np.ndarray | None = None
        self._stamp = time.monotonic()  # before the first picture: since when one is waited for
        self._error = ""  # what went wrong since the newest picture
        self._ended = False
        self._closed = False
        # A daemon, so that a driver that hangs can't keep the program from ending; but one that is killed inside a
        # C++ library takes the interpreter down with it, so whoever forgets to close is helped at the exit.
        self._thread = threading.Thread(target=self._run, name=f"grabber of {name}", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    @property
    def age(self) -> float:
        """Seconds since the newest picture came; infinite before the first."""
        with self._news:
            return math.inf if self._rgb is None else time.monotonic() - self._stamp

    def latest(self, timeout: float = FIRST_PICTURE) -> tuple[np.ndarray, float]:
        """The newest picture, uint8 [H, W, 3] RGB and read-only, and its stamp.

        Waits only for the first picture, at most ``timeout`` seconds.

        Raises:
            StaleCamera: the newest picture is older than ``max_age``, or none has come at all.
            UserError: the grabber is closed.
        """
        with self._news:
            self._news.wait_for(lambda: self._rgb is not None or self._ended or self._closed, timeout)
            return self._checked()

    def wait_newer(self, stamp: float, timeout: float = 1.0) -> tuple[np.ndarray, float]:
        """Like :meth:`latest`, but waits up to ``timeout`` seconds for a picture that came after ``stamp``.

        With the stamp of the moment at which an arm has settled, the picture shows it at rest, but for the camera's
        own delay.

        Raises:
            StaleCamera: no such picture came, or it is older than ``max_age`` by now.
            UserError: the grabber is closed.
        """
        with self._news:
            self._news.wait_for(lambda: self._is_newer(stamp) or self._ended or self._closed, timeout)
            rgb, came = self._checked()
            if came > stamp:
                return rgb, came
            age = time.monotonic() - came
            raise StaleCamera(
                f"no newer picture came from {self.name} within {timeout:g} s; the newest is {age:.2f} s old"
                f"{self._reason()}.",
                "timeout",
                age,
            )

    def close(self) -> None:
        """Stop the thread and release the camera. May be called twice."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        atexit.unregister(self.close)
        self._thread.join(CLOSE_TIMEOUT)
        if self._thread.is_alive():
            log.warning("%s hangs in its driver and could not be released within %g s.", self.name, CLOSE_TIMEOUT)

    def __enter__(self) -> Grabber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_newer(self, stamp: float) -> bool:
        return self._rgb is not None and self._stamp > stamp

    def _checked(self) -> tuple[np.ndarray, float]:
        if self._closed:
            raise UserError(f"{self.name} is closed.")
        age = time.monotonic() - self._stamp
        if self._rgb is None:
            raise StaleCamera(f"no picture has come from {self.name} in {age:.2f} s{self._reason()}.", "max_age", age)
        if age > self.max_age:
            raise StaleCamera(
                f"the newest picture of {self.name} is {age:.2f} s old, {self.max_age:g} s are allowed"
                f"{self._reason()}.",
                "max_age",
                age,
            )
        return self._rgb, self._stamp

    def _reason(self) -> str:
        return f" ({self._error.rstrip('.')})" if self._error else ""

    def _run(self) -> None:
        broken = False
        try:
            while not self._closed:
                try:
                    if broken:
                        self._source.reopen()
                        broken = False
                    rgb = self._source.read()
                except EndOfVideo as end:
                    self._report(end, ended=True)
                    return
                except Exception as error:  # every camera library fails in its own way
                    self._report(error)
                    broken = True
                    with self._news:
                        self._news.wait_for(lambda: self._closed, RETRY_PAUSE)
                else:
                    self._keep(rgb, time.monotonic())
        finally:
            self._source.close()

    def _keep(self, rgb: np.ndarray, stamp: float) -> None:
        rgb.setflags(write=False)  # whoever asks before the next picture comes is given the same array
        with self._news:
            self._rgb, self._stamp, self._error = rgb, stamp, ""
            self._news.notify_all()

    def _report(self, error: Exception, ended: bool = False) -> None:
        with self._news:
            self._error = str(error) or type(error).__name__
            self._ended = ended
            self._news.notify_all()
