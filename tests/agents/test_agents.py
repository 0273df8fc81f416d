import inspect

import numpy as np
import pytest

from vjepa_sim.agents import load_agent
from vjepa_sim.agents.evaluation.evaluate import run_episode
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import PLANNERS
from vjepa_sim.agents.policies.expert import Expert
from vjepa_sim.agents.registry import checkpoint_of
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.tasks import TASKS
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

STATE = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32)


@pytest.fixture(scope="module")
def model():
    return WorldModel.from_pretrained("tiny")


def look(seed=0):
    return Observation(np.random.default_rng(seed).integers(0, 256, (128, 128, 3), np.uint8), STATE, 0.0)


def goal(steps=5, seed=1):
    return Goal(np.random.default_rng(seed).integers(0, 256, (128, 128, 3), np.uint8), steps)


@pytest.mark.parametrize("object_name", ["cup", "box"])
@pytest.mark.parametrize("task", TASKS)
def test_the_expert_solves_every_task(task, object_name):
    env = SimEnv(task, object_name, size=64, randomize=1.0)
    for seed in range(2):
        score, _ = run_episode(Expert(env), env, seed)
        assert score.success, f"seed {seed}"
    env.close()


@pytest.mark.parametrize("object_name", ["cup", "box"])
def test_the_expert_works_with_the_panda_hand(object_name):
    env = SimEnv("pick-and-place", object_name, gripper="panda_hand", size=64)
    score, _ = run_episode(Expert(env), env, 0)
    assert score.success
    env.close()


@pytest.mark.parametrize("name", ["mpc", "random", "still"])
def test_agents_keep_to_the_limits_and_repeat_themselves(name):
    limits = SafetyLimits(max_translation=0.02)
    first = load_agent(name, seed=3, limits=limits)
    second = load_agent(name, seed=3, limits=limits)
    for agent in (first, second):
        agent.begin([goal()])
    actions = [(first.act(look(i)), second.act(look(i))) for i in range(3)]
    for a, b in actions:
        assert a.shape == (7,)
        assert a.dtype == np.float32
        assert np.array_equal(a, b)
        assert np.all(np.abs(a) <= limits.step + 1e-6)


def test_the_planner_moves_toward_a_reach_goal(model):
    """With the bundled model, one step in the simulator brings the hand nearer in most episodes."""
    env = SimEnv("reach", "box")
    agent = MPCAgent(model, limits=env.arm.limits)
    nearer = 0
    for seed in range(4):
        _, before = env.reset(seed=seed)
        agent.begin(before["goals"])
        for _ in range(2):
            _, _, _, _, after = env.step(agent.act(env.observation))
        nearer += after["error"] < before["error"]
    env.close()
    assert nearer >= 3


def test_the_energy_is_of_the_sub_goal_that_is_due(model, monkeypatch):
    agent = MPCAgent(model, PLANNERS["timed"].config)
    goals = [goal(steps=2, seed=1), goal(steps=1, seed=2)]
    agent.begin(goals)
    used = []

    def energy(weights, **parts):
        used.append(next(i for i, each in enumerate(agent._goals) if each is parts["goal"].z))
        return lambda actions: actions.sum((1, 2))

    monkeypatch.setattr("vjepa_sim.agents.planning.mpc.Energy", energy)
    for _ in range(4):
        agent.act(look())
    assert used == [0, 0, 1, 1]


def test_planning_counts_its_evaluations(model):
    agent = MPCAgent(model)
    agent.begin([goal()])
    agent.act(look())
    config = agent.config.cem
    assert agent.model_evaluations == config.samples * config.iterations * config.horizon


def test_the_planner_sees_no_simulator():
    """Whatever it is made from, no argument can carry the truth."""
    assert set(inspect.signature(MPCAgent.__init__).parameters) == {"self", "model", "config", "limits", "seed"}
    assert set(inspect.signature(MPCAgent.act).parameters) == {"self", "observation"}
    assert set(Observation.__dataclass_fields__) == {"rgb", "state", "stamp"}
    assert set(Goal.__dataclass_fields__) == {"rgb", "steps", "state", "name"}


class Forbidden:
    """An environment that nobody may look at."""

    def __getattribute__(self, name):
        raise AssertionError(f"an agent asked its environment for {name}")


@pytest.mark.parametrize("name", ["mpc", "bc", "random", "still"])
def test_only_upper_bounds_are_given_an_environment(name):
    agent = load_agent(name, env=Forbidden())
    agent.begin([goal()])
    agent.act(look())


def test_bad_requests_are_named():
    with pytest.raises(UserError, match="Did you mean 'mpc'"):
        load_agent("mcp")
    with pytest.raises(UserError, match="pass env="):
        load_agent("expert")
    with pytest.raises(UserError, match="takes at least one"):
        load_agent("mpc").begin([])


def test_agents_act_with_what_is_bundled_for_them_unless_something_is_named():
    assert checkpoint_of("mpc") == checkpoint_of("oracle") == "tiny"
    assert checkpoint_of("bc") == "bc"
    assert checkpoint_of("mpc", "folder") == "folder"
    assert checkpoint_of("still") is None
    with pytest.raises(UserError, match="'octo' has no bundled weights"):
        checkpoint_of("octo")
    with pytest.raises(UserError, match="'random' takes no checkpoint"):
        checkpoint_of("random", "tiny")
