"""The loopback robot begins where the goals' episode did, and goes back there by itself."""

import numpy as np
import pytest

pytest.importorskip("franky")
pytest.importorskip("franka_sim")

from tests.envs.loopback import free_address
from vjepa_sim.envs.backends import make_robot
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.scenario import start_of

pytestmark = pytest.mark.slow


def test_each_episode_begins_at_the_goals_own_start():
    simulated = SimEnv("reach", "box", size=64)
    simulated.reset(seed=3)
    start, goals = start_of(simulated.simulation, "reach", 3), simulated.goals
    env = make_robot("reach", "loopback", host=free_address(), size=64, period=0.25, start=start)
    try:
        for _ in range(2):
            _, info = env.reset(options={"goals": goals})
            assert np.abs(env.robot.robot.joints() - start.joints).max() < 0.01
            twin = env.robot._source._scene
            assert np.linalg.norm(twin.object_position() - start.position) < 0.005
            assert np.abs(env.observation.rgb.astype(int) - simulated.observation.rgb).mean() < 2
            assert info["judge"] == "task"
            distance = np.linalg.norm(goals[-1].state[:3] - env.observation.state[:3])
            assert info["error"] == pytest.approx(distance, abs=0.005)
            info = env.step(np.array([0.05, 0, 0, 0, 0, 0, 0.5]))[4]
            assert np.abs(env.robot.robot.joints() - start.joints).max() > 0.02
    finally:
        env.close()
        simulated.close()
