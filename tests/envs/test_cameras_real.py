import gc
import math
import queue
import subprocess
import sys
import threading
import time
import tracemalloc
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.envs.mjpeg import MjpegServer, number_in, numbered
from vjepa_sim.envs.cameras import EndOfVideo, Grabber, OpenCVSource, open_camera
from vjepa_sim.envs.cameras import grabber as grabber_module
from vjepa_sim.envs.cameras.opencv import without_password
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import StaleCamera

DEADLINE = 20.0  # s: far more than anything here takes


def eventually(condition, deadline=DEADLINE):
    """The first truthy value of ``condition``."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.002)
    raise AssertionError("it never happened")


def stale(grabber):
    """The fault that ``latest`` raises now, or None."""
    try:
        grabber.latest()
    except StaleCamera as fault:
        return fault
    return None


class ScriptedSource:
    """Reads what the test feeds, pictures or errors; counts what the grabber does with it."""

    def __init__(self):
        self.script = queue.Queue()
        self.reopenings = 0
        self.closings = 0
        self.reading = threading.Event()
        self.refused = 0  # reopenings that fail from now on
        self.ended = False

    def feed(self, item):
        self.script.put(item)

    def read(self):
        self.reading.set()
        item = self.script.get() if not self.ended else OSError("end of the test")
        if isinstance(item, Exception):
            raise item
        return item

    def reopen(self):
        self.reopenings += 1
        if self.refused:
            self.refused -= 1
            raise OSError("nobody there")

    def close(self):
        self.closings += 1

    def end(self):
        self.ended = True
        self.feed(OSError("end of the test"))


@pytest.fixture
def source(monkeypatch):
    monkeypatch.setattr(grabber_module, "RETRY_PAUSE", 0.01)
    source = ScriptedSource()
    yield source
    source.end()


@pytest.fixture
def grabbed(source):
    with Grabber(source, max_age=60) as grabber:
        yield source, grabber
        source.end()


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


# The laws of the thread


def test_the_newest_picture_is_given_and_all_others_are_forgotten(grabbed):
    source, grabber = grabbed
    for number in range(100):
        source.feed(numbered(number))
    rgb, _ = eventually(lambda: (found := grabber.latest()) and number_in(found[0]) == 99 and found)
    assert rgb.dtype == np.uint8 and rgb.shape == (48, 256, 3)


def test_no_memory_is_kept(grabbed):
    source, grabber = grabbed
    stamp = 0.0

    def pass_pictures(count):
        nonlocal stamp
        for _ in range(count):
            source.feed(np.zeros((480, 640, 3), np.uint8))
            _, stamp = grabber.wait_newer(stamp, DEADLINE)

    tracemalloc.start()
    pass_pictures(10)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    pass_pictures(100)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 480 * 640 * 3  # less than one picture


def test_nothing_is_copied_and_nobody_can_draw_into_anothers_picture(grabbed):
    source, grabber = grabbed
    picture = numbered(1)
    source.feed(picture)
    rgb, stamp = grabber.latest()
    assert rgb is picture
    assert grabber.latest() == (rgb, stamp)
    with pytest.raises(ValueError, match="read-only"):
        rgb[0] = 0


def test_stamps_rise_and_lie_between_the_feeding_and_the_getting(grabbed):
    source, grabber = grabbed
    stamp = 0.0
    for number in range(50):
        before = time.monotonic()
        source.feed(numbered(number))
        rgb, stamp = grabber.wait_newer(stamp, DEADLINE)
        assert number_in(rgb) == number
        assert before <= stamp <= time.monotonic()


def test_a_settled_arm_waits_for_a_picture_of_its_rest(grabbed):
    source, grabber = grabbed
    source.feed(numbered(1))
    grabber.latest()
    settled = time.monotonic()
    with pytest.raises(StaleCamera, match=r"no newer picture came from camera within 0\.05 s") as fault:
        grabber.wait_newer(settled, timeout=0.05)
    assert fault.value.limit == "timeout" and fault.value.measured > 0.05
    source.feed(numbered(2))
    rgb, stamp = grabber.wait_newer(settled, DEADLINE)
    assert number_in(rgb) == 2 and stamp > settled


def test_the_first_picture_is_waited_for(grabbed):
    source, grabber = grabbed
    assert grabber.age == math.inf
    with pytest.raises(StaleCamera, match="no picture has come from camera"):
        grabber.latest(timeout=0.01)
    found = []
    waiting = threading.Thread(target=lambda: found.append(grabber.latest(DEADLINE)))
    waiting.start()
    source.feed(numbered(7))
    waiting.join()
    assert number_in(found[0][0]) == 7
    assert 0 <= grabber.age < DEADLINE


def test_an_old_picture_is_refused_with_its_age_and_the_limit(source):
    with Grabber(source, max_age=0.1, name="wrist") as grabber:
        source.feed(numbered(1))
        eventually(lambda: grabber.age < math.inf)
        fault = eventually(lambda: stale(grabber))
        assert fault.limit == "max_age" and 0.1 < fault.measured < DEADLINE
        assert "picture of wrist" in str(fault) and "0.1 s are allowed" in str(fault)
        with pytest.raises(StaleCamera, match="allowed"):
            grabber.wait_newer(0.0)
        source.end()


def test_a_broken_source_is_reopened_until_it_works_and_the_last_error_is_named(source):
    with Grabber(source, max_age=0.05) as grabber:
        source.feed(numbered(1))
        source.refused = 5
        source.feed(OSError("cable out."))
        fault = eventually(lambda: (fault := stale(grabber)) and "nobody there" in str(fault) and fault)
        assert "(nobody there)." in str(fault)
        eventually(lambda: source.reopenings == 6)
        source.feed(numbered(2))
        rgb, _ = grabber.wait_newer(time.monotonic() - fault.measured, DEADLINE)
        assert number_in(rgb) == 2
        assert "nobody there" not in str(eventually(lambda: stale(grabber)))  # that trouble is over
        source.end()


def test_an_error_without_words_is_named_by_its_kind(grabbed):
    source, grabber = grabbed
    source.feed(MemoryError())
    eventually(lambda: source.reopenings)
    with pytest.raises(StaleCamera, match="MemoryError"):
        grabber.latest(timeout=0.01)


def test_a_video_that_has_ended_is_not_reopened(source):
    with Grabber(source, max_age=0.05) as grabber:
        source.feed(numbered(1))
        source.feed(EndOfVideo("the video has ended"))
        eventually(lambda: source.closings)
        assert "the video has ended" in str(eventually(lambda: stale(grabber)))
        began = time.monotonic()
        with pytest.raises(StaleCamera, match="ended"):
            grabber.wait_newer(began, DEADLINE)
        assert time.monotonic() - began < DEADLINE / 2  # nobody waits for what can't come
        assert source.reopenings == 0


def test_an_empty_video_is_not_waited_for(source):
    with Grabber(source) as grabber:
        source.feed(EndOfVideo("the video has ended after 0 pictures"))
        with pytest.raises(StaleCamera, match="ended after 0 pictures"):
            grabber.latest(timeout=DEADLINE)


def test_closing_releases_the_source_once_and_wakes_who_waits(source):
    grabber = Grabber(source)
    source.reading.wait(DEADLINE)
    failures = []

    def wait():
        try:
            grabber.latest(DEADLINE)
        except UserError as error:
            failures.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    closing = threading.Thread(target=grabber.close)
    closing.start()
    waiting.join()
    assert failures == ["camera is closed."]
    source.end()
    closing.join()
    assert source.closings == 1
    assert not any(thread.name == "grabber of camera" for thread in threading.enumerate())
    grabber.close()
    assert source.closings == 1
    with pytest.raises(UserError, match="is closed"):
        grabber.wait_newer(0.0)


def test_closing_does_not_wait_for_a_driver_that_hangs(source, monkeypatch, caplog):
    monkeypatch.setattr(grabber_module, "CLOSE_TIMEOUT", 0.05)
    grabber = Grabber(source, name="wrist")
    source.reading.wait(DEADLINE)
    grabber.close()
    assert "wrist hangs in its driver" in caplog.text
    source.end()
    eventually(lambda: source.closings == 1)  # released as soon as the driver comes back


@pytest.mark.parametrize("max_age", [0, -1, math.inf, math.nan])
def test_an_age_limit_that_limits_nothing_is_refused(source, max_age):
    with pytest.raises(UserError, match="positive"):
        Grabber(source, max_age)


# A network camera


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
        eventually(lambda: (fault := stale(camera)) and "no picture came in time" in str(fault))
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


# A video


@pytest.fixture
def video(tmp_path):
    """12 numbered pictures at 30 Hz."""
    path = str(tmp_path / "table.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 30, (256, 48))
    for number in range(12):
        writer.write(cv2.cvtColor(numbered(number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_a_video_plays_once_at_its_own_rate(video):
    source = OpenCVSource(video)
    for _ in range(2):
        began = time.monotonic()
        assert [number_in(source.read()) for _ in range(12)] == list(range(12))
        assert time.monotonic() - began > 11 / 30 - 0.01
        with pytest.raises(EndOfVideo, match="ended after 12 pictures"):
            source.read()
        source.reopen()
    source.close()


def test_a_video_that_has_ended_is_a_stale_camera(video):
    with open_camera(video, max_age=0.1) as camera:
        camera.latest()
        assert "ended after 12 pictures" in str(
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


# What can't be opened


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


def test_passwords_are_not_printed():
    assert without_password("rtsp://me:a@b@10.0.0.2:554/x?y=1@2") == "rtsp://10.0.0.2:554/x?y=1@2"
    assert without_password("http://cam.local/video") == "http://cam.local/video"
    assert without_password("/dev/v4l/by-id/usb-me@home") == "/dev/v4l/by-id/usb-me@home"
    assert without_password("http://[") == "http://["


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


# RealSense and ZED over stand-ins for their libraries: only our half of the contract is tested


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
