import importlib
import math
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from tests.envs.hand_server import HandServer, own_address
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import GripperFault, NotFinite
from vjepa_sim.envs.grippers import GRIPPERS, Gripper, gripper, open_gripper
from vjepa_sim.envs.grippers.franka_hand_driver import FrankaHand
from vjepa_sim.envs.grippers.robotiq_driver import Robotiq2F85
from vjepa_sim.envs.leash import gripper_target
from vjepa_sim.envs.loopback.robotiq import OBJECT_MET, LoopbackRobotiq
from vjepa_sim.envs.timeout import bounded

PATIENCE = 30.0  # s; for things that take milliseconds on an idle machine
AT_ONCE = 1.0  # s; far more than a call that doesn't wait needs, far less than hardware that hangs


def wait_for(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def fault_of(device):
    caught = []

    def faulty():
        try:
            device.check()
        except GripperFault as fault:
            caught.append(fault)
        return bool(caught)

    wait_for(faulty)
    return caught[0]


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


# --- laws, with a fake driver


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


def test_bounded_passes_on_results_and_exceptions():
    assert bounded(lambda: 3, PATIENCE) == 3
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, PATIENCE)


def test_what_bounded_is_given_too_late_is_let_go_of():
    """Though somebody keeps the exception, whose traceback holds the call's own variables."""

    class Connection:
        pass

    free, made = threading.Event(), []

    def connect():
        free.wait(PATIENCE)
        connection = Connection()
        made.append(weakref.ref(connection))
        return connection

    with pytest.raises(TimeoutError) as kept:
        bounded(connect, 0.01)
    free.set()
    wait_for(lambda: made and made[0]() is None)
    assert kept.value


# --- which gripper


def test_every_gripper_of_the_scene_has_a_driver():
    for spec in GRIPPERS.values():
        module, _, name = spec.driver.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_an_unknown_kind_is_refused_with_a_suggestion():
    with pytest.raises(UserError, match="Did you mean 'robotiq'"):
        open_gripper("robotic", "/dev/null")


@pytest.mark.parametrize(
    ("module", "driver", "extra"),
    [("franky", FrankaHand, "vjepa-sim[franka]"), ("pyrobotiqgripper", Robotiq2F85, "vjepa-sim[robotiq]")],
)
def test_a_missing_library_is_named_with_its_extra(monkeypatch, module, driver, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as caught:
        driver("somewhere")
    assert f'pip install "{extra}"' in str(caught.value)


def test_drivers_are_imported_only_when_used():
    program = (
        "import sys, vjepa_sim.envs.grippers\n"
        "assert not {'franky', 'pyrobotiqgripper', 'pymodbus', 'mujoco', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


# --- Robotiq over a real pseudo-terminal


@pytest.fixture
def robotiq(tmp_path):
    pytest.importorskip("pyrobotiqgripper")
    fake = LoopbackRobotiq(tmp_path / "ttyRobotiq")
    yield fake
    fake.close()


@pytest.fixture
def opened(robotiq):
    device = open_gripper("robotiq", str(robotiq.link))
    device.activate()
    yield device
    device._reported = True
    device.close()


def test_robotiq_is_connected_to_without_being_moved(robotiq):
    device = open_gripper("robotiq", str(robotiq.link))
    try:
        first = device._read_at
        wait_for(lambda: device._read_at > first)
        assert robotiq.activations == 0 and robotiq.targets == []
        assert "opens and closes" in device.needs
        device.check()
    finally:
        device.close()


def test_robotiq_is_activated_and_starts_open(robotiq, opened):
    assert robotiq.activations == 1
    assert opened.needs == ""
    assert opened.closedness == pytest.approx(3 / 230)


def test_robotiq_closes_and_opens(robotiq, opened):
    opened.command(1.0)
    wait_for(lambda: opened.closedness == 1.0)
    opened.command(0.5)
    wait_for(lambda: opened.closedness == 0.5)
    opened.command(0.0)
    wait_for(lambda: opened.closedness == pytest.approx(3 / 230))
    assert robotiq.targets == [230, 115, 0]
    opened.check()


def test_robotiq_stays_short_of_the_command_when_it_meets_something(robotiq, opened):
    robotiq.object_at = 115
    opened.command(1.0)
    wait_for(lambda: opened.closedness == 0.5)
    wait_for(lambda: robotiq.detected == OBJECT_MET)
    assert opened.closedness == 0.5
    opened.command(gripper_target(opened.commanded, opened.closedness, -0.2))
    wait_for(lambda: opened.closedness == pytest.approx(0.3, abs=0.003))
    opened.check()


def test_robotiq_turns_round_in_mid_motion(robotiq, opened):
    opened.command(1.0)
    wait_for(lambda: opened.closedness > 0.2)
    opened.command(0.0)
    wait_for(lambda: opened.closedness < 0.02)
    assert robotiq.targets == [230, 0]


def test_robotiq_that_is_active_is_left_as_it_is(robotiq):
    first = open_gripper("robotiq", str(robotiq.link))
    first.activate()
    first.command(0.5)
    wait_for(lambda: first.closedness == 0.5)
    first.close()
    second = open_gripper("robotiq", str(robotiq.link))
    second.activate()
    assert second.closedness == 0.5
    assert robotiq.activations == 1
    second.close()


def test_robotiq_with_a_fault_is_not_reset_but_says_how_to_clear_it(robotiq, opened):
    robotiq.fault = 14
    fault = fault_of(opened)
    assert "Overcurrent" in str(fault)
    assert type(fault.__cause__).__name__ == "GripperFaultError"
    opened.close()
    with pytest.raises(GripperFault, match=r"fault 14.*power off"):
        open_gripper("robotiq", str(robotiq.link))
    assert robotiq.activations == 1
    robotiq.lose_power()
    robotiq.fault = 0
    again = open_gripper("robotiq", str(robotiq.link))
    again.activate()
    assert robotiq.activations == 2
    again.command(0.5)
    wait_for(lambda: again.closedness == 0.5)
    again.close()


def test_robotiq_that_was_used_before_it_was_active_can_be_activated(robotiq):
    robotiq.fault = 7
    device = open_gripper("robotiq", str(robotiq.link))
    device.activate()
    device.command(0.5)
    wait_for(lambda: device.closedness == 0.5)
    device.close()


def test_robotiq_that_lost_power_is_noticed(robotiq, opened):
    robotiq.lose_power()
    assert "no longer active" in str(fault_of(opened))


def test_robotiq_unplugged_and_plugged_in_again(robotiq, opened):
    robotiq.unplug()
    opened_age = opened.age
    fault = fault_of(opened)
    assert fault.__cause__ is not None
    assert opened.age >= opened_age
    with pytest.raises(GripperFault):
        opened.command(1.0)
    opened.close()
    with pytest.raises(GripperFault, match="No Robotiq gripper answers"):
        open_gripper("robotiq", str(robotiq.link))
    robotiq.plug_in()
    again = open_gripper("robotiq", str(robotiq.link))
    again.command(1.0)
    wait_for(lambda: again.closedness == 1.0)
    again.close()


def test_robotiq_that_falls_silent_ages_and_then_fails(robotiq, opened):
    robotiq.silent = True
    wait_for(lambda: opened.age > 0.5)
    began = time.monotonic()
    opened.command(1.0)
    opened.check()
    assert time.monotonic() - began < AT_ONCE
    assert type(fault_of(opened).__cause__).__name__ == "ModbusIOException"
    assert opened.age > 3.0
    opened.close()  # while the command still waits for the port
    with pytest.raises(GripperFault, match="No Robotiq gripper answers"):
        open_gripper("robotiq", str(robotiq.link))
    wait_for(lambda: not any(thread.is_alive() for thread in opened._threads))
    robotiq.silent = False
    open_gripper("robotiq", str(robotiq.link)).close()
    assert robotiq.targets == []


# --- Franka Hand over libfranka's own client


@pytest.fixture
def hand_server(request):
    pytest.importorskip("franky")
    pytest.importorskip("franka_sim")
    server = HandServer(own_address(), getattr(request, "param", None))
    yield server
    server.kill()


@pytest.fixture
def hand(hand_server):
    device = open_gripper("panda_hand", hand_server.host)
    yield device
    device._reported = True
    device.close()


def test_hand_opens_and_closes(hand_server, hand):
    assert hand.closedness == 0.0
    hand.command(0.5)
    wait_for(lambda: hand.closedness == pytest.approx(0.5))
    hand.command(1.0)
    wait_for(lambda: hand.closedness == pytest.approx(1.0))
    hand.command(0.25)
    wait_for(lambda: hand.closedness == pytest.approx(0.25))
    hand.check()
    assert [name for name, _ in hand_server.commands()] == ["move", "grasp", "move"]


@pytest.mark.parametrize("hand_server", [0.04], indirect=True)
def test_hand_grasps_what_a_partial_closing_meets_and_does_not_let_go(hand_server, hand):
    hand.command(0.3)
    wait_for(lambda: hand.closedness == pytest.approx(0.3))
    hand.command(0.7)
    wait_for(lambda: hand.driver._hand.state.is_grasped)
    hand.command(0.9)  # holds already
    wait_for(lambda: hand._waiting is None)
    hand.command(gripper_target(hand.commanded, 0.5, -0.25))
    wait_for(lambda: hand.closedness == pytest.approx(0.25))
    hand.check()
    assert [name for name, _ in hand_server.commands()] == ["move", "move", "grasp", "move"]


@pytest.mark.parametrize("hand_server", [0.04], indirect=True)
def test_hand_closed_all_the_way_holds_at_once(hand_server, hand):
    hand.command(1.0)
    wait_for(lambda: hand.closedness == pytest.approx(0.5))
    wait_for(lambda: hand.driver._hand.state.is_grasped)
    assert [name for name, _ in hand_server.commands()] == ["grasp"]


def test_hand_that_is_homed_needs_nothing(hand_server, hand):
    assert hand.needs == ""
    hand.activate()
    assert hand_server.commands() == []


def test_hand_that_was_never_homed_is_for_a_person(hand_server, hand, monkeypatch):
    monkeypatch.setattr("vjepa_sim.envs.grippers.franka_hand_driver.SHORT", 1.0)  # as if its stroke were shorter
    assert "Desk" in hand.needs
    with pytest.raises(GripperFault, match="Desk"):
        hand.activate()
    assert hand_server.commands() == []


def test_hand_that_is_switched_off_is_a_fault(hand_server, hand):
    hand_server.kill()
    fault = fault_of(hand)
    assert "FrankaHand" in str(fault)
    assert fault.__cause__ is not None


def test_hand_that_stalls_is_a_fault_and_nobody_waits(hand_server, hand):
    hand_server.stall()
    began = time.monotonic()
    hand.command(1.0)
    assert time.monotonic() - began < AT_ONCE
    fault_of(hand)


def test_a_second_client_of_the_hand_does_not_wait_for_ever(hand_server, hand, monkeypatch):
    monkeypatch.setattr("vjepa_sim.envs.grippers.franka_hand_driver.CONNECTING", 0.5)
    with pytest.raises(GripperFault, match="No Franka Hand answers"):
        open_gripper("panda_hand", hand_server.host)


def test_no_hand_at_the_address():
    pytest.importorskip("franky")
    with pytest.raises(GripperFault, match=r"No Franka Hand answers at 127\.7\.255\.254"):
        open_gripper("panda_hand", "127.7.255.254")


def test_the_address_is_this_runs_own():
    assert own_address().startswith("127.7.") and own_address().endswith(f".{os.getpid() % 250 + 1}")
