"""Intel RealSense cameras, through Intel's own library."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from vjepa_sim.envs.errors import UserError

WIDTH, HEIGHT, RATE = 640, 480, 30  # every model with a colour sensor offers these, over USB 2 as well
READ_TIMEOUT = 1000  # ms


class RealSenseSource:
    """The colour pictures of a RealSense as a :class:`.FrameSource`.

    Args:
        serial: the camera's serial number; "" takes the first one found.

    Raises:
        UserError: pyrealsense2 is missing, or the camera can't be opened.
    """

    def __init__(self, serial: str = ""):
        try:
            import pyrealsense2
        except ImportError as error:  # also when the wheel is there and the system's libusb isn't
            raise UserError(
                f'A RealSense needs pyrealsense2 ({error}): pip install "vjepa-sim[realsense]", and on Debian or '
                "Ubuntu `sudo apt install libusb-1.0-0`."
            ) from None
        self._rs, self._serial = pyrealsense2, serial
        self._pipeline = self._open()

    def read(self) -> np.ndarray:
        """The next colour picture, uint8 [480, 640, 3] RGB. Raises RuntimeError if none comes within a second."""
        frame = self._pipeline.wait_for_frames(READ_TIMEOUT).get_color_frame()
        if not frame:
            raise RuntimeError("The RealSense sent a set of pictures without a colour picture.")
        # A copy: the library has a small pool of pictures, and one that we held would be missing there.
        return np.array(frame.get_data(), np.uint8)

    def reopen(self) -> None:
        """Open the camera once more. Raises UserError as the constructor does."""
        self.close()
        self._pipeline = self._open()

    def close(self) -> None:
        """Stop the camera."""
        with suppress(RuntimeError):  # a camera that was unplugged, or stopped before, can't be stopped
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
