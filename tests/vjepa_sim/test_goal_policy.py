"""The policy toward goals: what it is told, what it learns, what it can't be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.card import ModelCard, read_card
from vjepa_sim.data.mixture import load_mixture
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.goal_policy import GoalPolicy, GoalPolicyConfig, Intent, imitation_loss
from vjepa_sim.models.rotation import difference
from vjepa_sim.training.feature_cache import Features
from vjepa_sim.training.presets import PRESETS
from vjepa_sim.training.train_batch import draw_motion
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

ENCODER = EncoderConfig(image_size=32, patch_size=8, dim=24, depth=1, heads=2, mlp_hidden=48)
CONFIG = GoalPolicyConfig(hidden=64, depth=2, looks=2, farthest=3)


def card(**changes):
    return replace(
        ModelCard(name="test", encoder=ENCODER, transform=ImageTransform(32), object_decoder=True, goal_policy=CONFIG),
        **changes,
    )


def test_differences_equal_those_of_the_arm():
    rng = np.random.default_rng(0)
    before, after = rng.uniform(-1, 1, (2, 50, 7))
    np.testing.assert_allclose(
        difference(torch.from_numpy(before), torch.from_numpy(after)).numpy(), pose.difference(before, after), atol=1e-9
    )


def test_a_perfect_intent_has_no_error_and_what_is_unknown_counts_as_right():
    states = torch.tensor([[0.45, 0.1, 0.3, 3.0, 0.1, -3.1, 0.0]]).repeat(3, 1)
    actions = torch.tensor([[0.05, -0.02, 0.0, 0.0, 0.0, 0.2, 0.0]]).repeat(3, 1)
    commands = torch.from_numpy(pose.integrate(states.numpy(), actions.numpy())).float()
    commands[:, 6] = 1.0
    steps = torch.tensor([1.0, 5.0, 20.0])
    right = Intent(actions[:, :6], torch.full((3,), 30.0), steps)
    losses = imitation_loss(right, states, commands, steps)
    assert float(losses["policy"]) == pytest.approx(0.0, abs=1e-5)
    wrong = replace(right, motion=right.motion + 0.1)
    assert float(imitation_loss(wrong, states, commands, steps)["policy_motion"]) > 1.0
    unknown = torch.full_like(commands, torch.nan)
    losses = imitation_loss(replace(wrong, grip=-right.grip), states, unknown, steps)
    assert float(losses["policy"]) == pytest.approx(0.0, abs=1e-5)


def test_it_learns_to_go_where_the_goal_is():
    """On readings alone: the hand goes toward the goal's, as far as one step goes, and sees how many it takes."""
    torch.manual_seed(0)
    policy = GoalPolicy(CONFIG, ENCODER, objects=True)
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    z = torch.zeros(256, ENCODER.tokens, ENCODER.dim)

    def lesson():
        start, end = 0.2 * torch.rand(2, 256, 3) - 0.1
        states = torch.cat([start + torch.tensor([0.45, 0, 0.25]), torch.tensor([[np.pi, 0, 0, 0]]).repeat(256, 1)], 1)
        goal_read = torch.cat([end / 0.1, torch.zeros(256, 4)], 1)
        commands = states.clone()
        steps = ((end - start).abs().amax(1) / CONFIG.stride).ceil().clamp_min(1)
        commands[:, :3] += (end - start) / ((end - start).abs().amax(1, keepdim=True) / CONFIG.stride).clamp_min(1)
        return torch.zeros(256, 7), states.float(), goal_read, commands.float(), steps

    for _ in range(150):
        read, states, goal_read, commands, steps = lesson()
        losses = imitation_loss(policy(z, read, states, z, goal_read), states, commands, steps)
        optimizer.zero_grad()
        losses["policy"].backward()
        optimizer.step()
    read, states, goal_read, commands, steps = lesson()
    with torch.no_grad():
        intent = policy(z, read, states, z, goal_read)
    assert float((intent.motion[:, :3] - (commands - states)[:, :3]).abs().mean()) < 0.006
    assert float((intent.steps - steps).abs().mean()) < 0.5


def test_its_motion_is_no_longer_than_a_step():
    torch.manual_seed(0)
    policy = GoalPolicy(CONFIG, ENCODER, objects=True)
    z = torch.randn(50, ENCODER.tokens, ENCODER.dim)
    state = torch.randn(50, 7)
    with torch.no_grad():
        motion = policy(z, 9 * torch.randn(50, 7), state, z, 9 * torch.randn(50, 7)).motion[:, :3]
    assert float(motion.abs().max()) == pytest.approx(CONFIG.stride, rel=1e-5)


def test_it_works_where_nobody_tells_the_objects_place():
    policy = GoalPolicy(CONFIG, ENCODER, objects=False)
    z, read, state = torch.randn(2, 3, ENCODER.tokens, ENCODER.dim), torch.randn(2, 3, 4), torch.randn(2, 3, 7)
    intent = policy(z, read, state, z, read)
    assert (intent.motion.shape, intent.grip.shape, intent.steps.shape) == ((2, 3, 6), (2, 3), (2, 3))


def test_its_batches_hold_moments_goals_and_commands(episodes_folder):
    mixture = load_mixture([f"sim:{episodes_folder}"])
    model = WorldModel.from_pretrained("tiny")
    features = Features(model, mixture, None)
    config = replace(PRESETS["tiny"].train, frames=3, pairs=3)
    seeds = [[0, 7, row] for row in range(4)]
    drawn = draw_motion(mixture, config, policy=CONFIG, seeds=seeds, images=True)
    assert len(drawn.clips) == 4
    assert len(drawn.pairs) == 12
    batch = drawn.batch(features)
    assert batch.pairs.z.shape == (12, 2, 64, 128)
    for number, pair in enumerate(drawn.pairs):
        assert batch.pairs.steps[number] == pair.stride <= CONFIG.farthest
        torch.testing.assert_close(batch.pairs.z[number, 1], model.encode(pair.frames[1])[0], atol=1e-4, rtol=1e-3)
        assert np.array_equal(batch.pairs.commands[number].numpy(), pair.commands[0], equal_nan=True)
    assert float(batch.pairs.noise.std()) == pytest.approx(CONFIG.noise, rel=0.2)
    assert not draw_motion(mixture, config, policy=CONFIG, seeds=seeds, images=False, held_out=True).noise.any()
    again = draw_motion(mixture, config, policy=CONFIG, seeds=seeds[2:], images=True)
    assert np.array_equal(again.pairs[0].numbers, drawn.pairs[6].numbers)  # whoever draws the others
    assert np.array_equal(again.noise, drawn.noise[6:])
    assert draw_motion(mixture, config, policy=None, seeds=seeds, images=True).batch(features).pairs is None


def test_it_is_saved_with_the_model(tmp_path):
    torch.manual_seed(0)
    model = WorldModel(card()).eval()
    model.save_pretrained(tmp_path)
    assert read_card(tmp_path / "card.json").goal_policy == CONFIG
    back = WorldModel.from_pretrained(tmp_path)
    z, state = torch.randn(2, ENCODER.tokens, ENCODER.dim), torch.randn(2, 7)
    with torch.no_grad():
        ours, theirs = (each.goal_policy(z, each.read(z), state, z, each.read(z)).motion for each in (model, back))
    assert torch.equal(ours, theirs)


def test_without_decoders_there_is_none():
    with pytest.raises(UserError, match="needs the decoder of the arm"):
        card(decoders=False)
    with pytest.raises(UserError, match="stride"):
        GoalPolicyConfig(stride=0.0)
