"""The adapter to Octo. The package can't be installed here, so a stand-in with its interface tells what it is asked."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from vjepa_sim.agents import load_agent
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.safety import SafetyLimits

STATE = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0.2], np.float32)


class StandIn:
    """Answers with one chunk, and remembers what it was asked."""

    def __init__(self, action, statistics):
        self.action, self.dataset_statistics, self.asked = action, statistics, []

    def create_tasks(self, goals):
        return goals["image_primary"]

    def sample_actions(self, observations, task, unnormalization_statistics, rng):
        self.asked.append((observations, task, unnormalization_statistics, rng))
        return np.tile(np.asarray(self.action, np.float32), (1, 4, 1))


@pytest.fixture
def octo(monkeypatch):
    def install(action, statistics):
        policy = StandIn(action, statistics)
        keys = SimpleNamespace(PRNGKey=lambda seed: seed, split=lambda key: (key + 1, key))
        model = SimpleNamespace(OctoModel=SimpleNamespace(load_pretrained=lambda path: policy))
        monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(random=keys))
        for name in ("octo", "octo.model"):
            monkeypatch.setitem(sys.modules, name, SimpleNamespace())
        monkeypatch.setitem(sys.modules, "octo.model.octo_model", model)
        return policy

    return install


def picture(value, height=256, width=320):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(("grip", "sent"), [(1.0, -0.2), (0.0, 0.75)])
def test_its_actions_become_ours(octo, grip, sent):
    """Its 1 is open and a place to be at; ours is a change of closedness, within the arm's limits."""
    policy = octo([0.02, -0.5, 0.01, 0, 0, 0.1, grip], {"action": "scale"})
    agent = load_agent("octo", "folder", limits=SafetyLimits())
    agent.begin([Goal(picture(7), 2), Goal(picture(9), 1)])
    action = agent.act(Observation(picture(3), STATE, 0.0))
    np.testing.assert_allclose(action, [0.02, -SafetyLimits().step[1], 0.01, 0, 0, 0.1, sent], atol=1e-6)
    seen, task, statistics, _ = policy.asked[0]
    assert seen["image_primary"].shape == (1, 1, 256, 256, 3)
    assert seen["timestep_pad_mask"].all()
    assert (task[0, 0, 0, 0], statistics) == (7, "scale")
    for _ in range(2):
        agent.act(Observation(picture(3), STATE, 0.0))
    assert policy.asked[-1][1][0, 0, 0, 0] == 9  # the next goal's turn
    assert policy.asked[0][3] != policy.asked[1][3]  # a new draw


def test_where_several_data_sets_could_be_meant_one_is_named(octo):
    octo([0.0] * 7, {"bridge": {"action": 1}, "taco": {"action": 2}})
    with pytest.raises(UserError, match=r"bridge, taco\. Name one of them, as in CHECKPOINT#bridge"):
        load_agent("octo", "folder")
    load_agent("octo", "folder#taco")


def test_actions_of_another_kind_are_refused(octo):
    octo([0.0] * 8, {"action": 1})
    agent = load_agent("octo", "folder")
    agent.begin([Goal(picture(1), 1)])
    with pytest.raises(UserError, match="shape"):
        agent.act(Observation(picture(0), STATE, 0.0))


def test_a_missing_package_is_named(tmp_path, capsys):
    assert main(["eval", "--agent", "octo", "--checkpoint", "x", "--out", str(tmp_path / "out")]) == 2
    assert "Install it from https://github.com/octo-models/octo" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
