"""A network camera and a video."""

import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from tests.envs.cameras.waiting import DEADLINE, eventually, stale
from tests.envs.mjpeg import number_in
from vjepa_sim.envs.cameras import EndOfVideo, Grabber, OpenCVSource, open_camera
from vjepa_sim.envs.cameras.opencv import without_password
from vjepa_sim.envs.errors import UserError

pytestmark = pytest.mark.slow


def test_pictures_are_live_after_an_idle_second(server):
    with open_camera(server.url) as camera:
        camera.latest()
        began = server.number
        eventually(lambda: server.number >= began + 30)

        def lag():
            number = server.number  # before the picture is taken: time that passes after it is not the camera's lag
            return number - number_in(camera.latest()[0])

        assert min(lag() for _ in range(3)) <= 2
    assert not any(thread.name.startswith("grabber") for thread in threading.enumerate())


def test_what_was_queued_before_the_opening_is_not_taken_for_new(server):
    server.backlog = 20
    eventually(lambda: server.number > server.backlog)

    def first_is_live():
        before = server.number
        source = OpenCVSource(server.url)
        number = number_in(source.read())
        source.close()
        return number >= before

    assert any(first_is_live() for _ in range(5))  # a busy computer may take a queued picture for a live one


def test_a_stream_has_the_right_colours_and_rising_stamps(server):
    with open_camera(server.url) as camera:
        rgb, stamp = camera.latest()
        assert rgb.shape == (48, 256, 3) and rgb.dtype == np.uint8
        np.testing.assert_allclose(rgb[40, 20], [255, 0, 0], atol=8)
        np.testing.assert_allclose(rgb[40, 236], [0, 0, 255], atol=8)
        for _ in range(10):
            newer, later = camera.wait_newer(stamp, DEADLINE)
            assert later > stamp and number_in(newer) > number_in(rgb)
            rgb, stamp = newer, later


def test_a_stall_is_noticed_in_time_and_survived(server):
    with open_camera(server.url) as camera:
        camera.latest()
        server.stall()
        began = time.monotonic()
        fault = eventually(lambda: stale(camera))
        assert time.monotonic() - began < camera.max_age + 0.3
        assert fault.limit == "max_age" and fault.measured > 0.25
        eventually(lambda: (fault := stale(camera)) and "no image came in time" in str(fault))
        stalled = server.number
        server.resume()
        eventually(lambda: not stale(camera))
        assert number_in(camera.latest()[0]) > stalled
        assert server.connections >= 2


def test_a_dropped_connection_is_noticed_in_time_and_survived(server):
    with open_camera(server.url) as camera:
        camera.latest()
        server.drop()
        began = time.monotonic()
        eventually(lambda: stale(camera))
        assert time.monotonic() - began < camera.max_age + 0.3
        eventually(lambda: (fault := stale(camera)) and "can't be opened" in str(fault))
        dropped = server.number
        server.resume()
        eventually(lambda: not stale(camera))
        assert number_in(camera.latest()[0]) > dropped


def test_the_left_eye_is_cut_out(server):
    with Grabber(OpenCVSource(server.url, left_half=True)) as camera:
        rgb, _ = camera.latest()
        assert rgb.shape == (48, 128, 3)
        np.testing.assert_allclose(rgb[40, -20], [255, 0, 0], atol=8)


def test_a_program_that_forgets_to_close_still_ends_well(server):
    program = f"from vjepa_sim.envs.cameras import open_camera; open_camera({server.url!r}).latest()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_video_plays_once_at_its_own_rate(video):
    source = OpenCVSource(video)
    for _ in range(2):
        began = time.monotonic()
        assert [number_in(source.read()) for _ in range(12)] == list(range(12))
        assert time.monotonic() - began > 11 / 30 - 0.01
        with pytest.raises(EndOfVideo, match="ended after 12 images"):
            source.read()
        source.reopen()
    source.close()


def test_a_video_that_has_ended_is_a_stale_camera(video):
    with open_camera(video, max_age=0.1) as camera:
        camera.latest()
        assert "ended after 12 images" in str(
            eventually(lambda: (fault := stale(camera)) and "ended" in str(fault) and fault)
        )


def test_single_pictures_are_not_halved(tmp_path):
    path = str(tmp_path / "single.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 30, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    source = OpenCVSource(path, left_half=True)
    with pytest.raises(UserError, match="really a ZED"):
        source.read()
    source.close()


def test_passwords_are_not_printed():
    assert without_password("rtsp://me:a@b@10.0.0.2:554/x?y=1@2") == "rtsp://10.0.0.2:554/x?y=1@2"
    assert without_password("http://cam.local/video") == "http://cam.local/video"
    assert without_password("/dev/v4l/by-id/usb-me@home") == "/dev/v4l/by-id/usb-me@home"
    assert without_password("http://[") == "http://["
