"""A camera for a control loop: the newest image and its time of arrival."""

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

FIRST_IMAGE = 5.0  # s: opening takes up to 3, and most cameras deliver their first image late
RETRY_PAUSE = 0.5  # s: no busy loop while a cable is unplugged; FFmpeg writes to stderr each time
CLOSE_TIMEOUT = 10.0  # s: longer than any source may need for one read and one reopening

log = logging.getLogger(__name__)


class EndOfVideo(UserError):
    """The end of a finite source, such as a file. It is not reopened."""


class FrameSource(Protocol):
    """An opened camera. All calls come from one thread and return or raise within seconds."""

    def read(self) -> np.ndarray:
        """Wait for the next image: uint8 [H, W, 3] RGB, an array that the source never writes to again.

        Raises:
            EndOfVideo: there are no more images.
            Exception: any other failure; the source must be reopened before the next read.
        """
        ...

    def reopen(self) -> None:
        """Open the camera again after an error. Raises if it is still not available; may be called again then."""
        ...

    def close(self) -> None:
        """Release the camera, also after an error."""
        ...


class Grabber:
    """Reads a source in a thread of its own and keeps only the newest image.

    Without a thread, images queue up in a driver or a socket, and the next one read is an old one. After an error the
    source is reopened repeatedly until :meth:`close`.

    Stamps are seconds of ``time.monotonic()`` at which an image *arrived*. It was exposed somewhat earlier: the
    camera's own latency is not known here.

    Args:
        source: opened source; the grabber closes it.
        max_age: seconds after which an image is too old to act on.
        name: name of the camera in messages.

    Raises:
        UserError: ``max_age`` is not a positive number.
    """

    def __init__(self, source: FrameSource, max_age: float = SafetyLimits.max_camera_age, name: str = "camera"):
        if not 0 < max_age < math.inf:
            raise UserError(f"max_age={max_age!r}: the largest age of an image must be a positive number of seconds.")
        self.max_age, self.name = max_age, name
        self._source = source
        self._news = threading.Condition()  # guards the fields below
        self._rgb: np.ndarray | None = None
        self._stamp = time.monotonic()  # before the first image: the time of opening
        self._error = ""  # the last error since the newest image
        self._ended = False
        self._closed = False
        # A daemon, so that a driver that hangs can't keep the program from ending. But a daemon that is killed inside a
        # C++ library crashes the interpreter, so the grabber is closed at exit if the program has not closed it.
        self._thread = threading.Thread(target=self._run, name=f"grabber of {name}", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    @property
    def age(self) -> float:
        """Seconds since the newest image arrived; infinite before the first."""
        with self._news:
            return math.inf if self._rgb is None else time.monotonic() - self._stamp

    def latest(self, timeout: float = FIRST_IMAGE) -> tuple[np.ndarray, float]:
        """The newest image, uint8 [H, W, 3] RGB and read-only, and its stamp.

        Waits only for the first image, at most ``timeout`` seconds.

        Raises:
            StaleCamera: the newest image is older than ``max_age``, or none has arrived.
            UserError: the grabber is closed.
        """
        with self._news:
            self._news.wait_for(lambda: self._rgb is not None or self._ended or self._closed, timeout)
            return self._checked()

    def wait_newer(self, stamp: float, timeout: float = 1.0) -> tuple[np.ndarray, float]:
        """Like :meth:`latest`, but waits up to ``timeout`` seconds for an image that arrived after ``stamp``.

        With the time at which an arm has settled as ``stamp``, the image shows the arm at rest, except for the camera's
        own latency.

        Raises:
            StaleCamera: no such image arrived, or it is older than ``max_age`` by now.
            UserError: the grabber is closed.
        """
        with self._news:
            self._news.wait_for(lambda: self._is_newer(stamp) or self._ended or self._closed, timeout)
            rgb, arrived = self._checked()
            if arrived > stamp:
                return rgb, arrived
            age = time.monotonic() - arrived
            raise StaleCamera(
                f"no newer image came from {self.name} within {timeout:g} s; the newest is {age:.2f} s old"
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
            log.warning("%s hangs in its driver; it was not released within %g s.", self.name, CLOSE_TIMEOUT)

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
            raise StaleCamera(f"no image has come from {self.name} in {age:.2f} s{self._reason()}.", "max_age", age)
        if age > self.max_age:
            raise StaleCamera(
                f"the newest image of {self.name} is {age:.2f} s old, {self.max_age:g} s are allowed{self._reason()}.",
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
        rgb.setflags(write=False)  # the same array is returned until the next image arrives
        with self._news:
            self._rgb, self._stamp, self._error = rgb, stamp, ""
            self._news.notify_all()

    def _report(self, error: Exception, ended: bool = False) -> None:
        with self._news:
            self._error = str(error) or type(error).__name__
            self._ended = ended
            self._news.notify_all()
