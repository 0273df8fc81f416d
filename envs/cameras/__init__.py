"""Real cameras: webcams, network streams, RealSense, ZED and those of plugins behind one class.

Importing this package loads no camera library; a library is imported when its camera is opened.
"""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.envs.cameras.camera_kind import CAMERA_KINDS, CameraKind
from vjepa_sim.envs.cameras.grabber import EndOfVideo, FrameSource, Grabber
from vjepa_sim.envs.cameras.opencv import OpenCVSource, VideoMode, without_password
from vjepa_sim.envs.cameras.realsense import RealSenseSource
from vjepa_sim.envs.cameras.zed import ZedSource
from vjepa_sim.envs.errors import UserError, naming_part, unknown_name
from vjepa_sim.envs.safety import SafetyLimits

PLAIN_FORMS = (
    "0",
    "0?width=1280&height=720&fps=30&fourcc=MJPG",
    "/dev/v4l/by-id/…",
    "http://…",
    "https://…",
    "rtsp://…",
    "file.mp4",
)  # those of no named kind


def open_camera(text: str, max_age: float = SafetyLimits.max_camera_age) -> Grabber:
    """Open a camera and start to grab from it.

    Args:
        text: number or path of a device, with or without a :class:`.VideoMode` after a question mark; address of a
            stream, video file, or one of :data:`.CAMERA_KINDS` with or
            without an address, such as ``realsense:SERIAL``; see :func:`camera_forms`.
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


def camera_forms() -> tuple[str, ...]:
    """All forms in which a camera can be given."""
    return (*PLAIN_FORMS, *(form for kind in CAMERA_KINDS.values() for form in kind.forms))


def _open_source(text: str) -> FrameSource:
    kind, _, address = text.partition(":")
    if kind in CAMERA_KINDS:
        opener = CAMERA_KINDS[kind].open
        with naming_part(f"Camera {kind!r}", opener):
            source = opener(address)
        missing = [member for member in ("read", "reopen", "close") if not hasattr(source, member)]
        if missing:
            raise UserError(f"Camera {kind!r}: its {type(source).__name__} lacks {', '.join(missing)}.")
        return source
    if _is_device(text):
        return _open_device(text)
    if text.lower().startswith(("http://", "https://", "rtsp://")):
        return OpenCVSource(text)
    if "://" not in text and (Path(text).suffix or Path(text).is_file()):
        return OpenCVSource(text)
    raise unknown_name("camera", without_password(text), camera_forms())


def _open_left_half(device: str) -> OpenCVSource:
    if not _is_device(device):
        raise unknown_name("camera", f"zed-uvc:{device}", camera_forms())
    return _open_device(device, left_half=True)


def _is_device(text: str) -> bool:
    device = text.partition("?")[0]
    return (device.isdecimal() and len(device) <= 4) or text.startswith("/dev/")


def _open_device(text: str, left_half: bool = False) -> OpenCVSource:
    device, _, mode = text.partition("?")
    return OpenCVSource(int(device) if device.isdecimal() else device, left_half, VideoMode.parse(mode))


for _kind in (
    CameraKind("realsense", RealSenseSource, ("realsense", "realsense:SERIAL")),
    CameraKind("zed", ZedSource, ("zed", "zed:SERIAL")),
    CameraKind("zed-uvc", _open_left_half, ("zed-uvc:0", "zed-uvc:/dev/v4l/by-id/…")),
):
    CAMERA_KINDS.register(_kind)

__all__ = [
    "CAMERA_KINDS",
    "CameraKind",
    "EndOfVideo",
    "FrameSource",
    "Grabber",
    "OpenCVSource",
    "RealSenseSource",
    "VideoMode",
    "ZedSource",
    "camera_forms",
    "open_camera",
    "without_password",
]
