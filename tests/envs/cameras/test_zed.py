"""ZED over a stand-in for its library: only our half of the contract is tested."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.envs.cameras.waiting import eventually, stale
from tests.envs.mjpeg import numbered
from vjepa_sim.envs.cameras import grabber as grabber_module
from vjepa_sim.envs.cameras import open_camera
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


class FakeZed(ModuleType):
    """As much of pyzed.sl as the adapter uses; one camera, number 42."""

    ERROR_CODE = SimpleNamespace(SUCCESS="SUCCESS")
    RESOLUTION = SimpleNamespace(HD720="HD720")
    DEPTH_MODE = SimpleNamespace(NONE="NONE")
    VIEW = SimpleNamespace(LEFT="LEFT")

    def __init__(self):
        super().__init__("pyzed.sl")
        self.plugged = True
        self.buffer = np.dstack([numbered(1)[..., ::-1], np.full((48, 256), 255, np.uint8)])
        library = self

        class InitParameters:
            serial = 42

            def set_from_serial_number(self, serial):
                self.serial = serial

        class Mat:
            def get_data(self):
                return library.buffer

        class Camera:
            def open(self, settings):
                return "SUCCESS" if library.plugged and settings.serial == 42 else "CAMERA NOT DETECTED"

            def grab(self):
                return "SUCCESS" if library.plugged else "CAMERA REBOOTING"

            def retrieve_image(self, mat, view):
                assert view == "LEFT"

            def close(self):
                pass

        self.InitParameters, self.Mat, self.Camera = InitParameters, Mat, Camera


def test_a_zed_is_read_copied_and_reopened(monkeypatch):
    library, package = FakeZed(), ModuleType("pyzed")
    package.sl = library
    monkeypatch.setitem(sys.modules, "pyzed", package)
    monkeypatch.setitem(sys.modules, "pyzed.sl", library)
    monkeypatch.setattr(grabber_module, "RETRY_PAUSE", 0.01)
    with open_camera("zed:42") as camera:
        rgb, _ = camera.latest()
        np.testing.assert_array_equal(rgb, numbered(1))
        assert rgb.flags.c_contiguous and not np.shares_memory(rgb, library.buffer)
        library.plugged = False
        eventually(lambda: (fault := stale(camera)) and "CAMERA NOT DETECTED" in str(fault))
        library.plugged = True
        eventually(lambda: not stale(camera))
    with pytest.raises(UserError, match="ZED 7 can't be opened: CAMERA NOT DETECTED"):
        open_camera("zed:7")
