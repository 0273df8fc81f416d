"""A Franka Hand over libfranka's own client."""

import os
import time

import pytest

from tests.envs.grippers.fault import fault_of
from tests.envs.grippers.hand_server import HandServer, own_address
from tests.envs.waiting import AT_ONCE, wait_for
from vjepa_sim.envs.faults import GripperFault
from vjepa_sim.envs.grippers import open_gripper
from vjepa_sim.envs.leash import gripper_target

pytestmark = pytest.mark.slow


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
