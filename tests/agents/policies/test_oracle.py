"""Planning in the simulator itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.agents.planning.cem import CEMConfig
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import PLANNERS
from vjepa_sim.agents.policies.oracle import SimulatedRollouts
from vjepa_sim.agents.registry import load_agent
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ForceExceeded
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


def test_what_it_imagines_is_what_then_happens(untrained):
    env = SimEnv("grasp", "box", size=64)
    env.reset(seed=3)
    world = SimulatedRollouts(untrained, env)
    actions = torch.tensor([[[0.03, 0, -0.05, 0, 0, 0, 0], [0, 0.04, 0, 0, 0, 0.1, 0.5]], [[0.0] * 7] * 2])
    before = env.simulation.save()
    imagined = world.rollout(world.encode(env.observation.rgb)[0], env.observation.state, actions)
    assert imagined.shape == (2, 2, *world.encode(env.observation.rgb)[0].shape)
    np.testing.assert_array_equal(env.simulation.save().physics, before.physics)  # nothing has moved
    for step, action in enumerate(actions[0].numpy()):
        env.step(action)
        assert torch.equal(imagined[0, step], world.encode(env.observation.rgb)[0])
    env.close()


def test_an_agent_reaches_by_planning_in_it():
    env = SimEnv("reach", "box", size=128)
    _, info = env.reset(seed=0)
    few = replace(PLANNERS["unguided"].config, cem=CEMConfig(samples=24, elites=4, iterations=2, initial_std=1.0))
    agent = MPCAgent(SimulatedRollouts(WorldModel.from_pretrained("tiny"), env), few, env.arm.limits)
    agent.begin(info["goals"])
    before = info["error"]
    for _ in range(2):
        *_, info = env.step(agent.act(env.observation))
    assert agent.model_evaluations == 48
    assert info["error"] < 0.7 * before
    env.close()


@pytest.mark.parametrize(
    "planner, told", [("gradient", "needs gradients"), ("policy", "would never use the simulator")]
)
def test_planners_that_an_oracle_is_not_asked_by_are_refused(planner, told):
    env = SimEnv("reach", "box", size=64)
    with pytest.raises(UserError, match=told):
        load_agent("oracle", "tiny", env=env, planner=planner)
    with pytest.raises(UserError, match="would never use the simulator"):
        load_agent("oracle", "inverse", env=env)  # whose default is not to search
    env.close()


def test_an_arm_that_stops_on_the_way_stays_where_it_stopped(untrained):
    env = SimEnv("reach", "box", size=64)
    env.reset(seed=3)
    world = SimulatedRollouts(untrained, env)
    command, told = env.arm.command, []

    def stops(action):
        told.append(action)
        if len(told) == 2:
            raise ForceExceeded("too much", "max_force", 99.0)
        return command(action)

    env.arm.command = stops
    imagined = world.rollout(world.encode(env.observation.rgb)[0], env.observation.state, torch.full((1, 3, 7), 0.02))
    assert len(told) == 2
    assert torch.equal(imagined[0, 1], imagined[0, 2])
    assert not torch.equal(imagined[0, 0], world.encode(env.observation.rgb)[0])
    env.close()
