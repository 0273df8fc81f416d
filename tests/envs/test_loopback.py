from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.envs.loopback import free_address, wait_until
from vjepa_sim.envs.arms.panda import HOME_JOINTS, flange_poses
from vjepa_sim.envs.errors import UserError

pytest.importorskip("franka_sim", exc_type=ImportError)

from vjepa_sim.envs.loopback import LoopbackRobot

pytestmark = pytest.mark.slow

OWNER = """
import sys, time
from vjepa_sim.envs.loopback import LoopbackRobot
robot = LoopbackRobot(sys.argv[1])
print(robot.pid, flush=True)
time.sleep(60)
"""


def test_starts_where_it_should_and_ends_with_its_context():
    joints = HOME_JOINTS + 0.1
    with LoopbackRobot(free_address(), joints, hand=True) as robot:
        assert np.allclose(robot.joints(), joints)
        assert np.allclose(robot.flange()[:3, 3], flange_poses(joints[None])[0, :3], atol=1e-3)
        with pytest.raises(UserError, match=f"{robot.host}.*in use"):
            LoopbackRobot(robot.host)
        with pytest.raises(UserError, match="No client"):
            robot.drop_tcp()
        move_hand(robot.host)
        assert robot.moving() < 1e-3
        robot.kill()
        with pytest.raises(RuntimeError, match="died"):
            robot.joints()
    robot.close()


def move_hand(host):
    franky = pytest.importorskip("franky", exc_type=ImportError)
    hand = franky.Gripper(host)
    hand.move(0.02, 0.1)
    wait_until(lambda: hand.state.width == pytest.approx(0.02))  # the hand tells it a moment later


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "robot"])
def test_stays_on_this_machine(host):
    with pytest.raises(UserError, match="this machine only"):
        LoopbackRobot(host)


def test_missing_simulator_names_the_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "franka_sim", None)
    with pytest.raises(UserError, match=r"pip install --no-deps franka-sim==1\.1\.7$"):
        LoopbackRobot("127.0.0.1")


def test_dies_with_its_owner():
    with subprocess.Popen([sys.executable, "-c", OWNER, free_address()], stdout=subprocess.PIPE, text=True) as owner:
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_text())
