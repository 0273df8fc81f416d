"""RealSense over a stand-in for its library: only our half of the contract is tested."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.envs.cameras.waiting import eventually, stale
from tests.envs.mjpeg import number_in, numbered
from vjepa_sim.envs.cameras import grabber as grabber_module
from vjepa_sim.envs.cameras import open_camera
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


class FakeRealSense(ModuleType):
    """As much of pyrealsense2 as the adapter uses; one camera, number 42."""

    stream = SimpleNamespace(color="color")
    format = SimpleNamespace(rgb8="rgb8")

    def __init__(self):
        super().__init__("pyrealsense2")
        self.plugged = True
        self.buffer = numbered(1)
        library = self

        class Config:
            serial = "42"

            def enable_device(self, serial):
                self.serial = serial

            def enable_stream(self, *what):
                assert what == ("color", 640, 480, "rgb8", 30)

        class Pipeline:
            running = False

            def start(self, config):
                if not library.plugged or config.serial != "42":
                    raise RuntimeError("No device connected")
                self.running = True

            def stop(self):
                if not self.running:
                    raise RuntimeError("stop() cannot be called before start()")
                self.running = False

            def wait_for_frames(self, timeout):
                if not library.plugged:
                    raise RuntimeError("Frame did not arrive in time!")
                frame = SimpleNamespace(get_data=lambda: library.buffer)
                return SimpleNamespace(get_color_frame=lambda: frame)

        self.config, self.pipeline = Config, Pipeline


def test_a_realsense_is_read_copied_and_reopened(monkeypatch):
    library = FakeRealSense()
    monkeypatch.setitem(sys.modules, "pyrealsense2", library)
    monkeypatch.setattr(grabber_module, "RETRY_PAUSE", 0.01)
    with open_camera("realsense:42") as camera:
        rgb, _ = camera.latest()
        assert number_in(rgb) == 1 and not np.shares_memory(rgb, library.buffer)
        library.plugged = False
        eventually(lambda: (fault := stale(camera)) and "No device connected" in str(fault))
        library.buffer = numbered(2)
        library.plugged = True
        eventually(lambda: not stale(camera))
        assert number_in(camera.latest()[0]) == 2
    with pytest.raises(UserError, match=r"RealSense 7 can't be opened \(No device connected\)"):
        open_camera("realsense:7")
