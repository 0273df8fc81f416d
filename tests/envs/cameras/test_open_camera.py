"""What can't be opened."""

import subprocess
import sys
from types import ModuleType

import pytest

from vjepa_sim.envs.cameras import CAMERA_KINDS, CameraKind, OpenCVSource, open_camera
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("97", "/dev/video97 can't be opened.*ls /dev/v4l/by-id"),
        ("/dev/v4l/by-id/usb-none", "usb-none can't be opened.*ls /dev/v4l/by-id"),
        ("zed-uvc:97", "/dev/video97 can't be opened"),
        ("http://127.0.0.1:9/video", "stream http://127.0.0.1:9/video can't be opened within 3 s"),
        ("rtsp://me:secret@127.0.0.1:9/x", "stream rtsp://127.0.0.1:9/x can't"),
        ("nowhere.mp4", "no video nowhere.mp4"),
        ("relsense", "Unknown camera 'relsense'. Did you mean 'realsense'.*zed-uvc:0"),
        ("zed-uvc:left", "Unknown camera"),
        ("ftp://me:secret@host/x.mp4", "Unknown camera 'ftp://host/x.mp4'"),
        ("", "Unknown camera"),
        ("zed:abc", "no serial number"),
    ],
)
def test_an_address_that_leads_nowhere_is_explained(text, message):
    with pytest.raises(UserError, match=message) as error:
        open_camera(text)
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("no pictures here")
    with pytest.raises(UserError, match="no video that OpenCV can read"):
        open_camera(str(path))


def test_a_refused_age_leaves_no_camera_open(video, monkeypatch):
    closed = []
    monkeypatch.setattr(OpenCVSource, "close", lambda self: closed.append(self))
    with pytest.raises(UserError, match="max_age"):
        open_camera(video, max_age=0)
    assert len(closed) == 1


@pytest.mark.parametrize(
    ("text", "package", "messages"),
    [
        ("0", "cv2", ["pip install opencv-python"]),
        ("realsense", "pyrealsense2", ['pip install "vjepa-sim[realsense]"', "libusb-1.0-0"]),
        ("zed", "pyzed", ["ZED SDK", "is another one", "zed-uvc:0"]),
    ],
)
def test_a_missing_package_is_named_with_what_to_do(text, package, messages, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as error:
        open_camera(text)
    for message in messages:
        assert message in str(error.value)


def test_the_other_pyzed_is_recognised(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyzed", ModuleType("pyzed"))
    with pytest.raises(UserError, match="is another one"):
        open_camera("zed:123")


def test_importing_loads_no_camera_library():
    libraries = "{'cv2', 'pyrealsense2', 'pyzed', 'mujoco'}"
    program = f"import sys, vjepa_sim.envs.cameras; sys.exit(bool({libraries} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_a_plugin_may_bring_a_kind_of_its_own(video, monkeypatch):
    kind = CameraKind("gige", lambda address: OpenCVSource(video), ("gige:SERIAL",))
    monkeypatch.setitem(CAMERA_KINDS._parts, kind.name, kind)
    with open_camera("gige:17") as camera:
        assert camera.latest()[0].ndim == 3
    with pytest.raises(UserError, match="Did you mean 'gige:SERIAL'"):
        open_camera("gig:SERIAL")
