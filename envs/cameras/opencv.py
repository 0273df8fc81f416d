"""Cameras that OpenCV reads: webcams, network streams, video files."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from vjepa_sim.envs.cameras.grabber import EndOfVideo
from vjepa_sim.envs.errors import UserError

OPEN_TIMEOUT = 3.0  # s
READ_TIMEOUT = 1.0  # s: a capture that exceeded it is unusable and must be opened again
DEFAULT_RATE = 30.0  # 1/s, for a file without a frame rate
BACKLOG_LIMIT = 2.0  # s: the limit for a stream whose images come faster than its frame rate
SIDE_BY_SIDE = 2.0  # width / height: a stereo pair is wider than this, no single image is


class OpenCVSource:
    """A webcam, a stream or a video as a :class:`.FrameSource`.

    A video is played once at its own frame rate, as if it were a camera.

    Args:
        address: number or path of a device (``/dev/v4l/by-id/…`` stays the same when cameras are replugged), URL of a
            stream, or video file.
        left_half: whether to keep only the left half of every image: as a webcam, a ZED sends the images of both
            lenses side by side.

    Raises:
        UserError: OpenCV is missing, or the address can't be opened.
    """

    def __init__(self, address: int | str, left_half: bool = False):
        try:
            import cv2
        except ImportError as error:
            raise UserError(f"This camera needs OpenCV ({error}): pip install opencv-python") from None
        self._cv2 = cv2
        self._address, self._left_half = address, left_half
        self._name = f"/dev/video{address}" if isinstance(address, int) else without_password(address)
        self._is_device = isinstance(address, int) or address.startswith("/dev/")
        self._is_file = not self._is_device and "://" not in str(address)
        self._capture = self._open()

    def read(self) -> np.ndarray:
        """The next image, uint8 [H, W, 3] RGB.

        Raises:
            EndOfVideo: the file has no more images.
            OSError: no image came in time, or the connection is lost.
            UserError: ``left_half`` is set, and the camera does not send two images side by side.
        """
        ok, bgr = self._capture.read()
        if not ok:
            if self._is_file:
                raise EndOfVideo(f"the video has ended after {self._count} images")
            raise OSError("no image came in time, or the connection is lost")
        self._count += 1
        if self._left_half:
            height, width, _ = bgr.shape
            if width < SIDE_BY_SIDE * height:
                raise UserError(f"{self._name} sends single images of {width} x {height}; is it really a ZED?")
            bgr = bgr[:, : width // 2]
        if self._is_file:
            self._wait_until_due()
        return self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)

    def reopen(self) -> None:
        """Open the address again; a file starts from its beginning. Raises as the constructor does."""
        self.close()
        self._capture = self._open()

    def close(self) -> None:
        """Release the device, the connection or the file."""
        self._capture.release()

    def _open(self):
        self._count = 0
        self._due = 0.0
        cv2 = self._cv2
        if self._is_device:
            # The time limits below are FFmpeg's: a webcam can't be opened with them. V4L2 waits 10 s for an image; this
            # variable is its only setting, and is read once, with the first image.
            os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", f"{READ_TIMEOUT:.0f}")
            capture = cv2.VideoCapture(self._address, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        else:
            if self._is_file and not Path(self._name).is_file():
                raise UserError(f"There is no video {self._name}.")
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_TIMEOUT * 1000)]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT * 1000)]
            # Every further thread delays the images by one frame: of an H.264 stream at 30 Hz, 8 threads gave images 9
            # frames late, 1 thread 2. This delay is not part of an image's age.
            limits += [cv2.CAP_PROP_N_THREADS, 1]
            capture = cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            capture.release()
            raise UserError(self._advice())
        self._period = 1.0 / max(capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE, 1.0)
        if not self._is_device and not self._is_file:
            self._skip_backlog(capture)
        return capture

    def _skip_backlog(self, capture) -> None:
        """Discard what a stream sent while it was being opened: 0.7 s of images that would be stamped as new.

        An image that has to be waited for is a live one.
        """
        began = now = time.monotonic()
        while now - began < BACKLOG_LIMIT:
            before = now
            alive = capture.grab()
            now = time.monotonic()
            if not alive or now - before > self._period / 4:
                return

    def _advice(self) -> str:
        if self._is_device:
            return (
                f"The camera {self._name} can't be opened. `ls /dev/v4l/by-id` lists the cameras that are plugged in; "
                f"`fuser -v {self._name}` shows which program uses it; you must be in the group `video`."
            )
        if self._is_file:
            return f"{self._name} is no video that OpenCV can read."
        return (
            f"The stream {self._name} can't be opened within {OPEN_TIMEOUT:g} s. Check whether `ffplay` or a browser "
            "shows it on this computer."
        )

    def _wait_until_due(self) -> None:
        now = time.monotonic()
        self._due = max(self._due + self._period, now) if self._due else now
        time.sleep(self._due - now)


def without_password(address: str) -> str:
    """The address without the user name and password of a URL, for printing and logging."""
    if "://" not in address:
        return address
    try:
        place = urlsplit(address).netloc
    except ValueError:  # not a URL; opening it raises the error
        return address
    return address.replace(place, place.rpartition("@")[2], 1)
