"""Real cameras: webcams, network streams, RealSense and ZED behind one class.

Importing this package loads no camera library; a library is imported when its camera is opened.
"""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.envs.cameras.grabber import EndOfVideo, FrameSource, Grabber
from vjepa_sim.envs.cameras.opencv import OpenCVSource, without_password
from vjepa_sim.envs.cameras.realsense import RealSenseSource
from vjepa_sim.envs.cameras.zed import ZedSource
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.safety import SafetyLimits

FORMS = (
    "0",
    "/dev/v4l/by-id/…",
    "http://…",
    "https://…",
    "rtsp://…",
    "file.mp4",
    "realsense",
    "realsense:SERIAL",
    "zed",
    "zed:SERIAL",
    "zed-uvc:0",
    "zed-uvc:/dev/v4l/by-id/…",
)


def open_camera(text: str, max_age: float = SafetyLimits.max_camera_age) -> Grabber:
    """Open a camera and start to grab from it.

    Args:
        text: number or path of a device, address of a stream, video file, or ``realsense`` or ``zed`` with or without a
            serial number; see :data:`FORMS`.
        max_age: seconds after which an image is too old to act on.

    Raises:
        UserError: ``text`` has none of the forms, a library is missing, or the camera can't be opened.
    """
    source = _open_source(text)
    try:
        return Grabber(source, max_age, without_password(text))
    except UserError:
        source.close()
        raise


def _open_source(text: str) -> FrameSource:
    kind, _, rest = text.partition(":")
    if kind == "realsense":
        return RealSenseSource(rest)
    if kind == "zed":
        return ZedSource(rest)
    if kind == "zed-uvc" and _is_device(rest):
        return OpenCVSource(_address(rest), left_half=True)
    if _is_device(text) or text.startswith(("http://", "https://", "rtsp://")):
        return OpenCVSource(_address(text))
    if "://" not in text and (Path(text).suffix or Path(text).is_file()):
        return OpenCVSource(text)
    raise unknown_name("camera", without_password(text), FORMS)


def _is_device(text: str) -> bool:
    return text.isdecimal() or text.startswith("/dev/")


def _address(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


__all__ = [
    "FORMS",
    "EndOfVideo",
    "FrameSource",
    "Grabber",
    "OpenCVSource",
    "RealSenseSource",
    "ZedSource",
    "open_camera",
    "without_password",
]
