"""Behaviour cloning: the head's laws, learning, stopping and going on, acting."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.data.samples import make_episode
from vjepa_sim.agents import load_agent
from vjepa_sim.agents.policies.cloning import CloningAgent
from vjepa_sim.baselines.cloned_policy import Demonstrations, FlowHead, Policy, PolicyCard, PolicyConfig
from vjepa_sim.baselines.cloning import CloningConfig, clone, draw_demonstrations
from vjepa_sim.cli import main
from vjepa_sim.data.formats.droid import write_episode
from vjepa_sim.data.mixture import load_mixture
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_measurements")]

SIZES = PolicyConfig(image_size=64, stem=(8, 16, 16), dim=24, depth=1, heads=2, mlp_hidden=32, chunk=2, head_hidden=32)
CONFIG = CloningConfig(steps=4, batch=4)
STATE = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32)


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    return Policy(PolicyCard(name="test", transform=ImageTransform(64), policy=SIZES, period=0.25)).eval()


def test_a_head_that_learned_two_answers_draws_both_and_nothing_between():
    """Half of the data go left, half go right: their mean is no answer."""
    torch.manual_seed(0)
    head = FlowHead(replace(SIZES, dim=4, chunk=1, head_hidden=64, head_depth=2))
    optimizer, generator = torch.optim.Adam(head.parameters(), 2e-3), torch.Generator().manual_seed(0)
    embedding = torch.zeros(256, 4)
    for _ in range(400):
        chunks = (torch.randint(2, (256, 1, 1), generator=generator) * 2.0 - 1).expand(-1, 1, 7)
        noise, levels = torch.randn(256, 1, 7, generator=generator), torch.rand(256, generator=generator)
        share = levels[:, None, None]
        loss = (head(embedding, (1 - share) * chunks + share * noise, levels) - (noise - chunks)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        drawn = head.draw(embedding, generator)[:, 0].mean(1)
    assert 0.3 < (drawn > 0).float().mean() < 0.7
    assert ((drawn.abs() - 1).abs() < 0.3).float().mean() > 0.9


def test_what_is_not_known_teaches_nothing(policy):
    chunks = torch.rand(3, 2, 7)
    noise, levels = torch.randn(5, 3, 2, 7), torch.rand(5, 3)
    images = torch.randn(3, 2, 3, 64, 64)
    states = torch.from_numpy(STATE).expand(3, 7)
    chunks[0] = torch.nan
    batch = Demonstrations(images, states, chunks)
    others = Demonstrations(images[1:], states[1:], chunks[1:])
    whole, rest = policy(batch, noise, levels)["loss"], policy(others, noise[:, 1:], levels[:, 1:])["loss"]
    torch.testing.assert_close(whole, rest)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(mixture, tmp_path, stopping):
    whole = clone(mixture, tmp_path / "whole", CONFIG, seed=0, report=lambda *_: None, sizes=SIZES)

    with pytest.raises(KeyboardInterrupt):
        clone(mixture, tmp_path / "stopped", CONFIG, seed=0, report=stopping, sizes=SIZES)
    resumed = clone(mixture, tmp_path / "stopped", CONFIG, seed=0, report=lambda *_: None, sizes=SIZES)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert {"action_cm", "wrong_grips"} <= set(whole.card.measured)
    assert resumed.card.training_seeds() == {episode for record in mixture.records for episode in record["seeds"]}


def test_data_without_commands_have_nothing_to_clone(tmp_path):
    for index in range(4):
        write_episode(tmp_path / "data", index, make_episode(rows=9, seed=index, commands=None))
    with pytest.raises(UserError, match="hold no commands"):
        clone(
            load_mixture([f"droid:{tmp_path / 'data'}"]),
            tmp_path / "run",
            CONFIG,
            seed=0,
            report=lambda *_: None,
            sizes=SIZES,
        )
    assert not (tmp_path / "run").exists()


def test_demonstrations_are_moments_with_their_goals_shifted_alike(mixture):
    card = PolicyCard(name="test", transform=ImageTransform(64), policy=SIZES, period=0.25)
    seeds = [[0, row] for row in range(40)]
    pairs = mixture.draw_pairs(seeds, CONFIG.farthest, images=True, chunk=2)
    drawn = draw_demonstrations(mixture, card, CONFIG, seeds=seeds)
    same = [row for row, pair in enumerate(pairs) if pair.stride == 0]
    assert same
    for row in same:
        assert torch.equal(*drawn.images[row])
    np.testing.assert_array_equal(drawn.chunks, [pair.chunk for pair in pairs])


def test_it_acts_within_its_limits_and_changes_goals_by_the_clock(policy):
    agent = CloningAgent(policy, SafetyLimits(), seed=3)
    with pytest.raises(UserError, match="begin"):
        agent.act(Observation(picture(0), STATE, 0.0))
    agent.begin([Goal(picture(1), 2), Goal(picture(2), 1)])
    towards = []
    for _ in range(4):
        action = agent.act(Observation(picture(0), STATE, 0.0))
        assert action.shape == (7,)
        assert action.dtype == np.float32
        assert np.all(np.abs(action) <= SafetyLimits().step + 1e-6)
        assert action[6] in (0.0, np.float32(SafetyLimits().step[6]))  # an open hand stays open, or closes
        towards.append(agent.current_goal)
    assert towards == [0, 0, 1, 1]
    agent.begin([Goal(picture(1), 2)])
    first = agent.act(Observation(picture(0), STATE, 0.0))
    agent.begin([Goal(picture(1), 2)])
    np.testing.assert_array_equal(agent.act(Observation(picture(0), STATE, 0.0)), first)
    with pytest.raises(UserError, match="Goal"):
        agent.begin([picture(1)])
    with pytest.raises(UserError, match="a dict was given"):
        agent.act({"rgb": picture(0)})
    with pytest.raises(UserError, match="can't show the same view"):
        agent.act(Observation(picture(0)[:, :32], STATE, 0.0))


def test_a_policy_and_a_world_model_are_not_taken_for_each_other(policy, tmp_path):
    policy.save_pretrained(tmp_path / "policy")
    again = Policy.from_pretrained(tmp_path / "policy")
    assert again.card == policy.card
    with pytest.raises(UserError, match="the card of a cloned policy, with which `vjepa-sim eval --agent bc` acts"):
        WorldModel.from_pretrained(tmp_path / "policy")
    with pytest.raises(UserError, match="the card of a world model; expected a cloned policy"):
        Policy.from_pretrained("tiny")
    with pytest.raises(UserError, match="leave out --agent bc for a world model"):
        load_agent("bc", "tiny")
    card = tmp_path / "policy" / "card.json"
    told = json.loads(card.read_text())
    told["policy"]["stem"][0] = float(told["policy"]["stem"][0])
    card.write_text(json.dumps(told))
    with pytest.raises(UserError, match="no model can be built"):
        Policy.from_pretrained(tmp_path / "policy")


def test_the_commands_clone_and_score(episodes_folder, tmp_path, capsys):
    run, scored = tmp_path / "run", tmp_path / "scored"
    short = ["--steps", "1", "--batch", "2", "--threads", "1"]
    assert main(["baseline", "bc", "--data", f"sim:{episodes_folder}", "--out", str(run), *short]) == 0
    assert "action_cm" in capsys.readouterr().out
    packed = tmp_path / "packed"
    assert main(["convert", "weights", str(run), "--half", "--out", str(packed)]) == 0
    assert (packed / "model.safetensors").stat().st_size < 0.6 * 4 * sum(
        parameter.numel() for parameter in Policy.from_pretrained(packed).parameters()
    )
    one = ["--task", "reach", "--object", "box", "--episodes", "1", "--baselines", "none", "--size", "128"]
    assert main(["eval", "--agent", "bc", "--checkpoint", str(packed), "--out", str(scored), *one]) == 0
    assert "| reach | box | bc | image |" in (scored / "table.md").read_text()
    other = ["eval", "--agent", "bc", "--planner", "reference", "--out", str(tmp_path / "other")]
    assert main(other) == 2
    assert "--planner: no effect with --agent bc" in capsys.readouterr().err
