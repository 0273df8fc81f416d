"""The laws of a gripper's two threads, with a fake driver."""

import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.envs.grippers.fault import fault_of
from tests.envs.waiting import AT_ONCE, PATIENCE, wait_for
from vjepa_sim.envs.faults import GripperFault, NotFinite
from vjepa_sim.envs.grippers import Gripper, gripper
from vjepa_sim.envs.leash import gripper_target


class FakeDriver:
    """Moves take until they are allowed; reads and moves fail or hang when told to."""

    def __init__(self):
        self.position = 0.0
        self.needs = ""
        self.activations = 0
        self.moves = []
        self.arrived = []
        self.free, self.readable = threading.Event(), threading.Event()
        self.free.set()
        self.readable.set()
        self.read_error = self.move_error = self.close_error = None
        self.closed = threading.Event()

    def activate(self):
        self.activations += 1
        if self.move_error:
            raise self.move_error
        self.needs, self.position = "", 0.25

    def read(self):
        self.readable.wait()
        if self.read_error:
            raise self.read_error
        return self.position

    def move(self, closedness):
        self.moves.append(closedness)
        self.free.wait()
        if self.move_error:
            raise self.move_error
        self.position = closedness
        self.arrived.append(closedness)

    def close(self):
        self.closed.set()
        if self.close_error:
            raise self.close_error


@pytest.fixture
def driver():
    driver = FakeDriver()
    yield driver
    driver.free.set()
    driver.readable.set()


@pytest.fixture
def device(driver):
    device = Gripper(driver, poll_period=0.002)
    yield device
    driver.free.set()
    driver.readable.set()
    driver.close_error = None
    device._reported = True
    device.close()


def test_a_command_reaches_the_driver_and_is_measured(driver, device):
    assert device.closedness == device.commanded == 0.0
    device.command(0.6)
    assert device.commanded == 0.6
    wait_for(lambda: device.closedness == 0.6)


def test_the_newest_command_replaces_a_waiting_one(driver, device):
    driver.free.clear()
    device.command(0.2)
    wait_for(lambda: driver.moves == [0.2])
    for target in (0.4, 0.9, 0.7):
        device.command(target)
    driver.free.set()
    wait_for(lambda: device.closedness == 0.7)
    assert driver.moves == [0.2, 0.7]


def test_changes_below_the_deadband_are_not_sent(driver, device):
    for target in (0.05, 0.5, 0.45, 0.59, 0.5, 0.35):
        device.command(target)
        wait_for(lambda: device.closedness == device.commanded)
    assert driver.moves == [0.5, 0.35]


def test_an_end_is_sent_however_near(driver, device):
    for target in (0.95, 1.0, 1.0, 7.0, 0.05, 0.0, -1.0):
        device.command(target)
        wait_for(lambda: device.closedness == device.commanded)
    assert driver.moves == [0.95, 1.0, 0.05, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_what_the_simulated_arm_would_command_is_sent_and_nothing_else(driver, device, seed):
    """Every change that vjepa_sim.envs.leash.gripper_target makes passes the deadband, rounding included."""
    rng = np.random.default_rng(seed)
    expected = []
    for _ in range(60):
        change = rng.choice([rng.uniform(-0.75, 0.75), 0.1, -0.1, 0.099])
        target = gripper_target(device.commanded, device.closedness, change)
        if target != device.commanded:
            expected.append(target)
        device.command(target)
        wait_for(lambda: len(driver.arrived) == len(expected))
        if rng.random() < 0.5:
            driver.position = rng.random()  # fingers that hold something, or were moved by hand
        wait_for(lambda: device.closedness == driver.position)
    assert driver.moves == expected


def test_nobody_waits_for_hardware_that_hangs(driver, device):
    driver.free.clear()
    driver.readable.clear()
    began = time.monotonic()
    for target in (0.3, 0.6, 0.9):
        device.command(target)
        device.check()
        assert device.closedness == 0.0
    assert time.monotonic() - began < AT_ONCE


def test_age_grows_while_a_reading_hangs_and_shrinks_with_the_next(driver, device):
    driver.readable.clear()
    wait_for(lambda: device.age > 0.2)
    device.check()
    driver.readable.set()
    wait_for(lambda: device.age < 0.2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_command_that_is_not_finite_is_refused(driver, device, bad):
    with pytest.raises(NotFinite):
        device.command(bad)
    device.command(0.5)
    wait_for(lambda: driver.moves == [0.5])


def test_a_failed_reading_surfaces_with_its_cause(driver, device):
    driver.read_error = OSError("unplugged")
    fault = fault_of(device)
    assert fault.__cause__ is driver.read_error
    assert "FakeDriver: OSError: unplugged." in str(fault)
    with pytest.raises(GripperFault):
        device.command(0.5)
    assert driver.moves == []


def test_a_failed_move_surfaces_with_its_cause(driver, device):
    driver.move_error = RuntimeError("jammed")
    device.command(0.5)
    assert fault_of(device).__cause__ is driver.move_error


def test_a_drivers_own_gripper_fault_passes_unchanged(driver, device):
    driver.read_error = GripperFault("It burns.")
    assert fault_of(device) is driver.read_error


def test_a_fault_stays_and_nothing_more_is_sent(driver, device):
    driver.free.clear()
    device.command(0.3)
    wait_for(lambda: driver.moves == [0.3])
    device.command(0.6)  # waits
    driver.read_error = OSError("unplugged")
    first = fault_of(device)
    driver.read_error = None
    driver.move_error = RuntimeError("jammed")
    driver.free.set()
    wait_for(lambda: not any(thread.is_alive() for thread in device._threads))
    assert fault_of(device) is first
    assert any("jammed" in note for note in first.__notes__)
    assert driver.moves == [0.3]


def test_what_is_ready_is_not_activated(driver, device):
    device.command(0.6)
    device.activate()
    assert driver.activations == 0
    assert device.commanded == 0.6


def test_what_is_not_ready_is_activated_once(driver, device):
    driver.needs = "a push"
    assert device.needs == "a push"
    device.activate()
    device.activate()
    assert driver.activations == 1
    assert device.commanded == device.closedness == 0.25


def test_an_activation_that_fails_is_a_fault_that_stays(driver, device):
    driver.needs, driver.move_error = "a push", RuntimeError("jammed")
    for _ in range(2):
        with pytest.raises(GripperFault, match="jammed"):
            device.activate()
    assert driver.activations == 1


def test_a_reading_that_is_not_finite_is_a_fault(driver, device):
    driver.position = math.nan
    assert "measured nan" in str(fault_of(device))
    assert device.closedness == 0.0


def test_without_a_first_reading_there_is_no_gripper(driver):
    driver.read_error = OSError("not there")
    with pytest.raises(GripperFault, match="not there") as caught:
        Gripper(driver)
    assert caught.value.__cause__ is driver.read_error
    assert driver.closed.is_set()


def test_a_first_reading_that_hangs_is_given_up(driver, monkeypatch):
    monkeypatch.setattr(gripper, "FIRST_READING", 0.05)
    driver.readable.clear()
    with pytest.raises(GripperFault, match=r"no answer within 0\.05 s"):
        Gripper(driver)


def test_close_joins_its_threads_and_drops_a_waiting_command(driver, device):
    driver.free.clear()
    device.command(0.3)
    wait_for(lambda: driver.moves == [0.3])
    device.command(0.6)
    closing = threading.Thread(target=device.close)
    closing.start()
    wait_for(lambda: device._closed)
    driver.free.set()
    closing.join(PATIENCE)
    assert not any(thread.is_alive() for thread in device._threads)
    assert driver.closed.is_set()
    assert driver.moves == [0.3]
    device.command(0.9)
    device.close()
    assert driver.moves == [0.3]


@pytest.mark.parametrize("hanging", ["free", "readable"])
def test_close_gives_up_on_a_call_that_hangs_and_says_so(driver, device, monkeypatch, hanging):
    monkeypatch.setattr(gripper, "CLOSING", 0.1)
    getattr(driver, hanging).clear()
    device.command(0.3)
    wait_for(lambda: driver.moves == [0.3])
    wait_for(lambda: hanging == "free" or device.age > 0.1)
    began = time.monotonic()
    with pytest.raises(GripperFault, match="still waits for the hardware"):
        device.close()
    assert time.monotonic() - began < AT_ONCE
    assert driver.closed.is_set()


def test_close_raises_a_fault_that_nobody_saw(driver, device):
    driver.read_error = OSError("unplugged")
    wait_for(lambda: device._fault)
    with pytest.raises(GripperFault, match="unplugged"):
        device.close()
    assert driver.closed.is_set()
    device.close()


def test_close_does_not_repeat_a_fault_that_was_seen(driver, device):
    driver.read_error = OSError("unplugged")
    fault_of(device)
    device.close()


def test_what_the_driver_says_while_it_closes_is_not_lost(driver, device):
    driver.close_error = OSError("bad descriptor")
    with pytest.raises(GripperFault, match="bad descriptor"):
        device.close()


def test_a_gripper_that_hangs_does_not_keep_the_program_alive():
    program = (
        "import threading\n"
        "from vjepa_sim.envs.grippers import Gripper\n"
        "class Driver:\n"
        "    def read(self): return 0.0\n"
        "    def move(self, closedness): threading.Event().wait()\n"
        "    def close(self): pass\n"
        "Gripper(Driver()).command(1.0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
