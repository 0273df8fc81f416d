"""A Robotiq gripper over a real pseudo-terminal."""

import fcntl
import time

import pytest

from tests.envs.grippers.fault import fault_of
from tests.envs.waiting import AT_ONCE, wait_for
from vjepa_sim.envs.faults import GripperFault
from vjepa_sim.envs.grippers import open_gripper
from vjepa_sim.envs.leash import gripper_target
from vjepa_sim.envs.loopback.robotiq import OBJECT_MET


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


def test_a_port_that_another_program_uses_is_named(robotiq):
    with open(robotiq.link, "rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(GripperFault, match=f"Another program uses the serial port {robotiq.link}"):
            open_gripper("robotiq", str(robotiq.link))
    open_gripper("robotiq", str(robotiq.link)).close()


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


@pytest.mark.slow
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
