"""Devices that several rooms need."""

import pytest

from vjepa_sim.envs.loopback.robotiq import LoopbackRobotiq


@pytest.fixture
def robotiq(tmp_path):
    pytest.importorskip("pyrobotiqgripper")
    fake = LoopbackRobotiq(tmp_path / "ttyRobotiq")
    yield fake
    fake.close()
