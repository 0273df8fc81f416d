"""A network camera, a video, and no thread that stays."""

import threading

import cv2
import pytest

from tests.envs.cameras.waiting import eventually
from tests.envs.mjpeg import MjpegServer, numbered


@pytest.fixture
def server():
    server = MjpegServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    eventually(lambda: set(threading.enumerate()) <= before)


@pytest.fixture
def video(tmp_path):
    """12 numbered pictures at 30 Hz."""
    path = str(tmp_path / "table.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 30, (256, 48))
    for number in range(12):
        writer.write(cv2.cvtColor(numbered(number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path
