"""Stereolabs ZED cameras, through the ZED SDK. Without it, a ZED is a webcam: see ``OpenCVSource(left_half=True)``."""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.errors import UserError

RATE = 30  # 1/s
OPEN_TIMEOUT = 3.0  # s


class ZedSource:
    """The left lens of a ZED as a :class:`.FrameSource`.

    Args:
        serial: serial number of the camera; "" for the first one found.

    Raises:
        UserError: the SDK is missing, ``serial`` is no number, or the camera can't be opened.
    """

    def __init__(self, serial: str = ""):
        if serial and not serial.isdecimal():
            raise UserError(f"{serial!r} is no serial number of a ZED: expected digits, as in zed:12345678.")
        try:
            import pyzed.sl  # pyright: ignore[reportMissingImports]  # comes with the ZED SDK
        except ImportError as error:
            raise UserError(
                f"A ZED needs the ZED SDK of stereolabs.com, which brings its own Python package ({error}). The pyzed "
                "that pip installs is another one: uninstall it if it is there. Without the SDK, open the ZED as a "
                "webcam with zed-uvc:0: that takes the left half of its images."
            ) from None
        self._sl, self._serial = pyzed.sl, serial
        self._camera, self._image = pyzed.sl.Camera(), pyzed.sl.Mat()
        self._open()

    def read(self) -> np.ndarray:
        """The next image of the left lens, uint8 [720, 1280, 3] RGB. Raises OSError if none comes."""
        status = self._camera.grab()
        if status != self._sl.ERROR_CODE.SUCCESS:
            raise OSError(f"The ZED gave no image: {status}")
        self._camera.retrieve_image(self._image, self._sl.VIEW.LEFT)
        bgra = self._image.get_data()  # uint8 [720, 1280, 4], overwritten by the next image
        return np.ascontiguousarray(bgra[:, :, 2::-1])

    def reopen(self) -> None:
        """Open the camera again. Raises UserError as the constructor does."""
        self.close()
        self._open()

    def close(self) -> None:
        """Release the camera."""
        self._camera.close()

    def _open(self) -> None:
        sl = self._sl
        settings = sl.InitParameters()
        settings.camera_resolution = sl.RESOLUTION.HD720
        settings.camera_fps = RATE
        settings.depth_mode = sl.DEPTH_MODE.NONE  # depth would take a GPU
        settings.open_timeout_sec = OPEN_TIMEOUT
        if self._serial:
            settings.set_from_serial_number(int(self._serial))
        status = self._camera.open(settings)
        if status != sl.ERROR_CODE.SUCCESS:
            which = f"The ZED {self._serial}" if self._serial else "A ZED"
            raise UserError(f"{which} can't be opened: {status}. `ZED_Explorer` shows the cameras that are plugged in.")
