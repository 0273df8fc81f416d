"""The arm behind its contract, on a driver that obeys, with the real gripper's client and its serial device."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("pyrobotiqgripper")

from envs.cameras import Grabber
from envs.faults import GripperFault
from envs.franka import arm as franka_arm
from envs.franka.arm import FrankaArm
from envs.grippers import open_gripper
from envs.loopback import LoopbackRobot
from envs.loopback.robotiq import LoopbackRobotiq
from envs.panda import home_joints
from tests.envs.loopback import free_address, wait_until
from tests.envs.mjpeg import MjpegServer
from tests.envs.obedient import Obedient

WITHOUT_SIMULATOR_AND_MODEL = """
import sys

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("mujoco", "robosuite", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
from tests.envs.bare_client import main
main(*sys.argv[1:])
"""


class GreySource:
    """A camera that sees nothing, a hundred times a second."""

    def read(self):
        time.sleep(0.01)
        return np.full((16, 16, 3), 128, np.uint8)

    def reopen(self):
        pass

    def close(self):
        pass


@pytest.fixture
def robotiq(tmp_path):
    device = LoopbackRobotiq(tmp_path / "robotiq")
    yield device
    device.close()


@pytest.fixture
def driver():
    return Obedient()


@pytest.fixture
def arm(robotiq, driver):
    gripper = open_gripper("robotiq", str(robotiq.link))
    arm = FrankaArm(driver, gripper, Grabber(GreySource(), max_age=10.0), period=0.25)
    yield arm
    arm.close()


def test_a_command_is_carried_out(arm, driver):
    arm.reset()
    sent = arm.command(np.array([0.02, 0, 0, 0, 0, 0, 0]))
    assert np.allclose(sent, [0.02, 0, 0, 0, 0, 0, 0])
    assert np.allclose(arm.observe().state[:3], [0.02, 0, 0], atol=1e-6)
    arm.close()
    assert not driver.moving


@pytest.mark.parametrize("break_it", [lambda robotiq: setattr(robotiq, "silent", True), LoopbackRobotiq.unplug])
def test_a_gripper_that_falls_silent_stops_the_arm(arm, driver, robotiq, break_it):
    arm.reset()
    assert driver.moving
    break_it(robotiq)
    wait_until(lambda: not driver.moving)
    for call in (arm.observe, arm.status, lambda: arm.command(np.zeros(7))):
        with pytest.raises(GripperFault):
            call()


def test_silence_is_measured_from_the_last_answer(arm, robotiq, monkeypatch):
    """Well before the client gives up by itself, which takes it 4 s."""
    monkeypatch.setattr(franka_arm, "GRIPPER_SILENCE", 0.5)
    arm.reset()
    robotiq.silent = True
    with pytest.raises(GripperFault, match="not answered") as raised:
        wait_until(lambda: arm.status() is None)
    assert raised.value.limit == "gripper_silence"
    assert 0.5 < raised.value.measured < 3.5


@pytest.mark.parametrize("kind", ["robotiq", "panda_hand"])
def test_home_is_where_the_fingers_open_sideways(robotiq, kind):
    driver = Obedient(home_joints(kind) + 0.1)
    gripper = open_gripper("robotiq", str(robotiq.link))
    arm = FrankaArm(driver, gripper, Grabber(GreySource(), max_age=10.0), kind)
    gripper.command(1.0)
    arm.go_home()
    assert np.allclose(driver.state.joints, home_joints(kind))
    wait_until(lambda: gripper.closedness < 0.05)
    arm.close()


@pytest.mark.parametrize("way", ["arm", "gymnasium"])
def test_a_real_arm_needs_neither_simulator_nor_model(robotiq, way):
    pytest.importorskip("franky", exc_type=ImportError)
    pytest.importorskip("franka_sim", exc_type=ImportError)
    with LoopbackRobot(free_address()) as robot, closing(MjpegServer()) as camera:
        start = robot.flange()[0, 3]
        command = [sys.executable, "-c", WITHOUT_SIMULATOR_AND_MODEL, way, robot.host, camera.url, str(robotiq.link)]
        client = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert client.returncode == 0, client.stderr
        wait_until(lambda: robot.moving() < 0.01)
        moved = robot.flange()[0, 3] - start
    # On a busy machine the robot's clock is slow, and a compliant arm that has not had its time is still short.
    assert 0.01 < float(client.stdout) < 0.025
    assert 0.01 < moved < 0.025
