"""The whole arm as a user opens it, over the real protocol."""

from __future__ import annotations

import itertools
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pyrobotiqgripper")

from tests.envs.franka.obedient import Obedient
from tests.envs.loopback import free_address, wait_for_rest, wait_until
from tests.envs.mjpeg import MjpegServer
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import StaleCamera
from vjepa_sim.envs.franka import DRIVERS, DriverSpec, open_arm, open_driver
from vjepa_sim.envs.loopback import LoopbackRobot
from vjepa_sim.envs.safety import SafetyEnvelope, default_limits

pytestmark = pytest.mark.slow

WITHOUT_SIMULATOR_AND_MODEL = """
import sys

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("mujoco", "robosuite", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
from tests.envs.franka.bare_client import main
main(*sys.argv[1:])
"""


def test_a_plugin_may_bring_a_driver_of_its_own(monkeypatch):
    monkeypatch.setitem(DRIVERS._parts, "mine", DriverSpec("mine", lambda host: Obedient()))
    assert isinstance(open_driver("mine", "127.0.0.1"), Obedient)
    with pytest.raises(UserError, match="Did you mean 'mine'"):
        open_driver("mien", "127.0.0.1")


def test_an_impossible_period_is_found_before_anything_is_connected():
    with pytest.raises(UserError, match=r"period=0\.1"):
        open_arm(free_address(), "no such camera", gripper_address="/dev/null", period=0.1)


def test_an_arm_stops_when_its_camera_hangs_over_the_wire(robotiq):
    pytest.importorskip("franky", exc_type=ImportError)
    pytest.importorskip("franka_sim", exc_type=ImportError)
    with LoopbackRobot(free_address()) as robot, closing(MjpegServer()) as camera:
        limits = replace(default_limits("panda", "robotiq"), max_camera_age=1.5, max_clock_age=3.0)
        arm = open_arm(robot.host, camera.url, gripper_address=str(robotiq.link), max_camera_age=1.5, period=0.25)
        with closing(SafetyEnvelope(arm, limits)) as envelope:
            envelope.reset()
            camera.stall()
            with pytest.raises(StaleCamera):
                for step in itertools.cycle([0.03, -0.03]):
                    envelope.command(np.array([0, 0, step, 0, 0, 0, 0]))
            wait_for_rest(robot)
            wait_until(lambda: arm.robot_state().mode == "Idle")
            camera.resume()
            wait_until(lambda: arm._camera.age < 0.5)
            with pytest.raises(StaleCamera):
                envelope.reset()


@pytest.mark.parametrize("way", ["arm", "gymnasium"])
def test_a_real_arm_needs_neither_simulator_nor_model(robotiq, way):
    pytest.importorskip("franky", exc_type=ImportError)
    pytest.importorskip("franka_sim", exc_type=ImportError)
    with LoopbackRobot(free_address()) as robot, closing(MjpegServer()) as camera:
        start = robot.flange()[0, 3]
        command = [sys.executable, "-c", WITHOUT_SIMULATOR_AND_MODEL, way, robot.host, camera.url, str(robotiq.link)]
        client = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert client.returncode == 0, client.stderr
        wait_for_rest(robot)
        moved = robot.flange()[0, 3] - start
    # On a busy machine the robot's clock is slow, and a compliant arm that has not had its time is still short.
    assert 0.01 < float(client.stdout) < 0.025
    assert 0.01 < moved < 0.025
