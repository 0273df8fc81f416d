"""What a webcam is asked for."""

import cv2
import pytest

from vjepa_sim.envs.cameras import VideoMode
from vjepa_sim.envs.errors import UserError


class Webcam:
    """A capture that keeps what it is asked for, except for what it can't send."""

    def __init__(self, **fixed):
        self.asked, self._fixed = [], {getattr(cv2, name): value for name, value in fixed.items()}
        self._values = {}

    def set(self, key, value):
        self.asked.append(key)
        self._values[key] = value

    def get(self, key):
        return float(self._fixed.get(key, self._values.get(key, 0)))


def test_a_mode_is_asked_for_format_first():
    mode = VideoMode.parse("width=1280&height=720&fps=30&fourcc=MJPG")
    assert mode == VideoMode(width=1280, height=720, fps=30.0, fourcc="MJPG")
    webcam = Webcam()
    assert mode.ask(webcam, cv2) == []
    assert webcam.asked[0] == cv2.CAP_PROP_FOURCC and len(webcam.asked) == 4
    assert VideoMode.parse("") == VideoMode() and VideoMode().ask(Webcam(), cv2) == []


def test_what_comes_is_compared_with_what_was_asked_for():
    webcam = Webcam(CAP_PROP_FRAME_WIDTH=640, CAP_PROP_FPS=29.97, CAP_PROP_FOURCC=cv2.VideoWriter.fourcc(*"YUYV"))
    assert VideoMode.parse("width=1280&fps=30&fourcc=MJPG").ask(webcam, cv2) == ["fourcc 'YUYV'", "width 640"]


@pytest.mark.parametrize("text", ["widht=3", "width=wide", "width=0", "height=-3", "fps=nan", "fourcc=JPEGS", "width="])
def test_a_mistaken_mode_is_named(text):
    with pytest.raises(UserError, match="setting of a webcam"):
        VideoMode.parse(text)
