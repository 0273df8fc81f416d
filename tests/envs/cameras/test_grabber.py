"""The laws of the thread that reads a camera."""

import gc
import math
import queue
import threading
import time
import tracemalloc

import numpy as np
import pytest

from tests.envs.cameras.waiting import DEADLINE, eventually, stale
from tests.envs.mjpeg import number_in, numbered
from vjepa_sim.envs.cameras import EndOfVideo, Grabber
from vjepa_sim.envs.cameras import grabber as grabber_module
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import StaleCamera

pytestmark = pytest.mark.slow


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
    with pytest.raises(StaleCamera, match=r"no newer image came from camera within 0\.05 s") as fault:
        grabber.wait_newer(settled, timeout=0.05)
    assert fault.value.limit == "timeout" and fault.value.measured > 0.05
    source.feed(numbered(2))
    rgb, stamp = grabber.wait_newer(settled, DEADLINE)
    assert number_in(rgb) == 2 and stamp > settled


def test_the_first_picture_is_waited_for(grabbed):
    source, grabber = grabbed
    assert grabber.age == math.inf
    with pytest.raises(StaleCamera, match="no image has come from camera"):
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
        assert "image of wrist" in str(fault) and "0.1 s are allowed" in str(fault)
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
