"""Good episodes."""

import numpy as np
import pytest


def simulated(seeds, steps, cameras):
    from tests.recording import record
    from vjepa_sim.agents.collection.behaviors import BEHAVIORS
    from vjepa_sim.envs.sim_env import SimEnv

    env = SimEnv("grasp", "box", size=128)
    episodes = []
    for seed in seeds:
        env.reset(seed=seed)
        act = BEHAVIORS["explore"].make(env, np.random.default_rng(seed), None).act
        episodes.append(record(env, act, steps, "explore", seed, cameras=cameras))
    env.close()
    return episodes


@pytest.fixture(scope="session")
def good():
    """Six simulated episodes, each seen from the left and from the right."""
    return simulated(range(6), 18, ("left", "right"))


@pytest.fixture(scope="session")
def long():
    """Three longer ones."""
    return simulated(range(4, 7), 59, ("left",))
