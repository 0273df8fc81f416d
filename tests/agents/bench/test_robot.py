from __future__ import annotations

import pytest

pytest.importorskip("franky", exc_type=ImportError)
pytest.importorskip("franka_sim", exc_type=ImportError)

from tests.envs.loopback import free_address
from vjepa_sim.agents.bench import bench_robot
from vjepa_sim.envs.loopback import LoopbackRobot

pytestmark = pytest.mark.slow


def test_a_driven_robot_is_measured():
    shown = []
    result = bench_robot(0.1, lambda done, total: shown.append((done, total)), free_address())
    assert result["fault"] == ""
    assert result["commands"] >= 2
    assert result["frames"] == result["commands"]
    assert result["stamps_out_of_order"] == result["stamps_early"] == 0
    assert result["step_seconds_p95"] >= result["step_seconds_median"] >= 0.25
    assert result["drift_mm"] < 4  # measured: friction leaves the arm up to 2 short, at the start and at the end
    assert 0 < result["settling_error_mm"]["median"] < 30
    for process in ("client", "robot"):
        assert result[process]["memory_mb_end"] > 10
        assert result[process]["threads_end"] > 1
    assert shown[0] == (0, 6)


def test_a_fault_ends_the_drive_but_not_the_measurements(monkeypatch):
    robots = []
    start = LoopbackRobot.__init__

    def keep(robot, *arguments, **settings):
        robots.append(robot)
        start(robot, *arguments, **settings)

    monkeypatch.setattr(LoopbackRobot, "__init__", keep)

    def report(done, total):
        if done >= 3:
            robots[0].user_stop(True)

    result = bench_robot(1.0, report, free_address())
    assert result["fault"].startswith("UserStopped")
    assert result["commands"] >= 1
    assert result["drift_mm"] is None
