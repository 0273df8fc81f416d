"""Cameras that OpenCV reads: webcams, network streams, video files."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from vjepa_sim.envs.cameras.grabber import EndOfVideo
from vjepa_sim.envs.errors import UserError, unknown_name

OPEN_TIMEOUT = 3.0  # s
READ_TIMEOUT = 1.0  # s: a capture that exceeded it is unusable and must be opened again
DEFAULT_RATE = 30.0  # 1/s, for a file without a frame rate
BACKLOG_LIMIT = 2.0  # s: the limit for a stream whose images come faster than its frame rate
CREDENTIALS = re.compile(r"://[^/?#\s]*@")  # up to the last @ before the path: a password may contain one
SECRET = re.compile(r"([?&](?:user|pass|pwd|token|key|secret|auth)[^=&#\s]*=)[^&#\s]*", re.IGNORECASE)
RATE_TOLERANCE = 0.01  # share; 29.97 is sent where 30 was asked for
SIDE_BY_SIDE = 2.0  # width / height: a stereo pair is wider than this, no single image is


@dataclass(frozen=True, kw_only=True)
class VideoMode:
    """What is asked of a webcam; None leaves its default.

    Attributes:
        width, height: size of the images, pixels.
        fps: images per second.
        fourcc: pixel format, four letters such as ``MJPG``; many webcams send large images at full rate in that one
            only.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    fourcc: str | None = None

    @classmethod
    def parse(cls, text: str) -> VideoMode:
        """A mode such as ``width=1280&height=720&fps=30&fourcc=MJPG``; "" for all defaults.

        Raises:
            UserError: a name is unknown, given twice, or its value is invalid.
        """
        kinds = {"width": int, "height": int, "fps": float, "fourcc": str}
        given: dict[str, Any] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            if name not in kinds:
                raise unknown_name("setting of a webcam", name, kinds)
            if name in given:
                raise UserError(f"Setting {name!r} of a webcam is given twice; leave one out.")
            try:
                given[name] = kinds[name](value)
                good = len(value) == 4 and value.isascii() if name == "fourcc" else 0 < given[name] < 1e5
            except ValueError:
                good = False
            if not good:
                raise UserError(
                    f"{name}={value!r} is no setting of a webcam: expected, for example, "
                    "0?width=1280&height=720&fps=30&fourcc=MJPG."
                )
        return cls(**given)

    def ask(self, capture: Any, cv2: Any) -> list[str]:
        """Ask a capture for this mode; returns what it does otherwise, in words."""
        wanted = {  # the format first: sizes and rates depend on it
            cv2.CAP_PROP_FOURCC: None if self.fourcc is None else cv2.VideoWriter.fourcc(*self.fourcc),
            cv2.CAP_PROP_FRAME_WIDTH: self.width,
            cv2.CAP_PROP_FRAME_HEIGHT: self.height,
            cv2.CAP_PROP_FPS: self.fps,
        }
        names = dict(zip(wanted, ("fourcc", "width", "height", "fps"), strict=True))
        for key, value in wanted.items():
            if value is not None:
                capture.set(key, value)
        otherwise = []
        for key, value in wanted.items():
            found = capture.get(key)
            if value is not None and abs(found - value) > RATE_TOLERANCE * value:
                words = int(found).to_bytes(4, "little").decode(errors="replace") if names[key] == "fourcc" else found
                otherwise.append(f"{names[key]} {words:g}" if isinstance(words, float) else f"{names[key]} {words!r}")
        return otherwise


class OpenCVSource:
    """A webcam, a stream or a video as a :class:`.FrameSource`.

    A video is played once at its own frame rate, as if it were a camera.

    Args:
        address: number or path of a device (``/dev/v4l/by-id/…`` stays the same when cameras are replugged), URL of a
            stream, or video file.
        left_half: whether to keep only the left half of every image: as a webcam, a ZED sends the images of both
            lenses side by side.
        mode: size, rate and format that a webcam is asked for.

    Raises:
        UserError: OpenCV is missing, the address can't be opened, or a webcam does not send what it is asked for.
    """

    def __init__(self, address: int | str, left_half: bool = False, mode: VideoMode | None = None):
        try:
            import cv2
        except ImportError as error:
            raise UserError(f"This camera needs OpenCV ({error}): pip install opencv-python") from None
        self._cv2 = cv2
        self._address, self._left_half, self._mode = address, left_half, mode or VideoMode()
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
        otherwise = self._mode.ask(capture, cv2)
        if otherwise:
            capture.release()
            raise UserError(
                f"The camera {self._name} does not send what it was asked for, but {', '.join(otherwise)}. `v4l2-ctl "
                f"--list-formats-ext -d {self._name}` lists its modes."
            )
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


def without_password(text: str) -> str:
    """The text without user names, passwords and access tokens of URLs in it, for printing, logging and files."""
    return SECRET.sub(r"\1…", CREDENTIALS.sub("://", text))
