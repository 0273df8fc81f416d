"""Intel RealSense cameras, through Intel's own library."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from vjepa_sim.envs.errors import UserError

WIDTH, HEIGHT, RATE = 640, 480, 30  # every model with a colour sensor offers these, over USB 2 as well
READ_TIMEOUT = 1000  # ms


class RealSenseSource:
    """The colour images of a RealSense as a :class:`.FrameSource`.

    Args:
        serial: serial number of the camera; "" for the first one found.

    Raises:
        UserError: pyrealsense2 is missing, or the camera can't be opened.
    """

    def __init__(self, serial: str = ""):
        try:
            import pyrealsense2  # pyright: ignore[reportMissingImports]  # optional
        except ImportError as error:  # also if the system's libusb is missing
            raise UserError(
                f'A RealSense needs pyrealsense2 ({error}): pip install "vjepa-sim[realsense]", and on Debian or '
                "Ubuntu `sudo apt install libusb-1.0-0`."
            ) from None
        self._rs, self._serial = pyrealsense2, serial
        self._pipeline = self._open()

    def read(self) -> np.ndarray:
        """The next colour image, uint8 [480, 640, 3] RGB. Raises RuntimeError if none comes within a second."""
        frame = self._pipeline.wait_for_frames(READ_TIMEOUT).get_color_frame()
        if not frame:
            raise RuntimeError("The RealSense sent a frame set without a colour image.")
        # A copy: the library has a small pool of image buffers, and a reference would keep one of them.
        return np.array(frame.get_data(), np.uint8)

    def reopen(self) -> None:
        """Open the camera again. Raises UserError as the constructor does."""
        self.close()
        self._pipeline = self._open()

    def close(self) -> None:
        """Stop the camera."""
        with suppress(RuntimeError):  # a camera that is unplugged or stopped can't be stopped
            self._pipeline.stop()

    def _open(self):
        rs = self._rs
        config = rs.config()
        if self._serial:
            config.enable_device(self._serial)
        config.enable_stream(rs.stream.color, WIDTH, HEIGHT, rs.format.rgb8, RATE)
        pipeline = rs.pipeline()
        try:
            pipeline.start(config)
        except RuntimeError as error:
            which = f"The RealSense {self._serial}" if self._serial else "A RealSense"
            raise UserError(
                f"{which} can't be opened ({error}). `rs-enumerate-devices -s` lists the cameras and their serial "
                "numbers; another program may be using it."
            ) from None
        return pipeline
