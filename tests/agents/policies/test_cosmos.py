"""The adapter to Cosmos. The package can't be installed here, so a stand-in like it tells what it is asked."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vjepa_sim.agents import load_agent
from vjepa_sim.agents.policies.cosmos import cosmos_actions
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation

STATE = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0.2], np.float32)


class StandIn:
    """A "video" whose next frame is brighter the farther x moves in the hand's frame, which points down."""

    asked = 0

    def __call__(self, frame, actions, *, guidance, num_sampling_step):
        assert guidance == 0
        assert (frame.shape, frame.dtype, actions.shape) == ((256, 256, 3), np.uint8, (12, 7))
        self.asked += 1
        first = torch.from_numpy(frame).permute(2, 0, 1).float() / 127.5 - 1
        moved = np.cumsum(actions[:, 0]) / 20
        return torch.stack([first, *(first + float(x) * 4 for x in moved)], 1)[None]


@pytest.fixture
def cosmos(monkeypatch):
    pipeline = StandIn()

    def from_config(config, dit_path, *, use_text_encoder):
        assert not use_text_encoder  # its weights aren't asked for
        return pipeline

    config = SimpleNamespace(guardrail_config=SimpleNamespace(), prompt_refiner_config=SimpleNamespace())
    parts = {
        "configs.action_conditioned.config": SimpleNamespace(
            get_cosmos_predict2_action_conditioned_pipeline=lambda **options: config
        ),
        "pipelines.video2world_action": SimpleNamespace(
            Video2WorldActionConditionedPipeline=SimpleNamespace(from_config=from_config)
        ),
    }
    for name in ("", ".configs", ".configs.action_conditioned", ".pipelines"):
        monkeypatch.setitem(sys.modules, f"cosmos_predict2{name}", SimpleNamespace())
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, f"cosmos_predict2.{name}", part)
    return pipeline


def picture(value):
    return np.full((256, 256, 3), value, np.uint8)


def test_a_picture_is_its_own_latent(cosmos):
    world = load_agent("cosmos", "dit.pt").model
    z = world.encode(picture(51))
    assert z.shape == (1, 256 * 256, 3)
    imagined = world.rollout(z[0], torch.from_numpy(STATE), torch.zeros(2, 3, 7))
    assert imagined.shape == (2, 3, 256 * 256, 3)
    torch.testing.assert_close(imagined[0, 0], z[0], atol=0.01, rtol=0)
    assert cosmos.asked == 2
    with pytest.raises(UserError, match="12 steps"):
        world.rollout(z[0], torch.from_numpy(STATE), torch.zeros(2, 13, 7))


def test_actions_are_told_in_the_hands_own_frame():
    """A hand that points straight down sees y and z the other way round."""
    told = cosmos_actions(STATE, np.array([[0.01, 0.02, -0.03, 0, 0, 0.1, 0.5]], np.float32))
    np.testing.assert_allclose(told[0], [0.2, -0.4, 0.6, 0, 0, -2.0, 0.7], atol=1e-5)
    np.testing.assert_allclose(told[1:, :6], 0, atol=1e-6)
    np.testing.assert_allclose(told[1:, 6], 0.7)


def test_a_search_moves_to_where_the_picture_looks_like_the_goal(cosmos):
    agent = load_agent("cosmos", "dit.pt", planner="generated")
    agent._planner.config = type(agent._planner.config)(samples=8, elites=3, iterations=2, initial_std=1.0)
    agent.begin([Goal(picture(140), 1)])
    action = agent.act(Observation(picture(128), STATE, 0.0))
    assert action[0] > 0.005


def test_a_missing_package_is_named(tmp_path, capsys):
    assert main(["eval", "--agent", "cosmos", "--checkpoint", "x", "--out", str(tmp_path / "out")]) == 2
    assert "vjepa-sim baseline video" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
