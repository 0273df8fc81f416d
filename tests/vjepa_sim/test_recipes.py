"""Schedules, recipes and augmentation: the published numbers."""

import numpy as np
import pytest
import torch

from vjepa_sim.card import ModelCard
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.training.augmentation import Augmentation
from vjepa_sim.training.presets import PRESETS, Phase, get_recipe, shortened
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.training.train import StageTwo
from vjepa_sim.training.train_batch import MotionBatch
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


def test_a_schedule_rises_holds_and_falls():
    schedule = Schedule(1.0, 5.0, 0.0, warmup=4, decay=5)
    assert [schedule.at(step, 20) for step in (0, 2, 4, 14, 15)] == [1.0, 3.0, 5.0, 5.0, 5.0]
    assert schedule.at(17, 20) == pytest.approx(3.0)
    assert schedule.at(20, 20) == 0.0
    cosine = Schedule(0.0, 1.0, 0.0, shape="cosine")
    assert cosine.at(50, 100) == pytest.approx(0.5)
    assert cosine.at(25, 100) == pytest.approx((1 + np.cos(np.pi / 4)) / 2)
    assert constant(0.3).at(7, 10) == 0.3
    with pytest.raises(UserError, match="Did you mean 'cosine'"):
        Schedule(0, 1, 0, shape="cosin")


def test_the_published_schedules():
    recipe = get_recipe("constant", "giant-384")
    rate = recipe.learning_rate
    assert [rate.at(step, recipe.steps) for step in (0, 12_000, 239_999)] == [1e-4, 5.25e-4, 5.25e-4]
    assert rate.at(recipe.steps - 1, recipe.steps) < 2e-6
    assert recipe.phase(239_999) == Phase(240 / 252, 16, 256)
    assert (recipe.phase(240_000).frames, recipe.phase(240_000).image_size) == (64, 384)
    assert recipe.ema.at(100, recipe.steps) == 0.99925
    short = get_recipe("abbreviated", "large")
    assert short.learning_rate.at(0, short.steps) == 2e-4
    assert short.weight_decay.at(0, short.steps) == 0.04
    assert short.weight_decay.at(short.steps, short.steps) == pytest.approx(0.4)
    assert short.ema.at(short.steps, short.steps) == pytest.approx(1.0)
    conditioned = PRESETS["giant"].train
    assert (conditioned.steps, conditioned.batch, conditioned.frames, conditioned.rollout) == (94_500, 256, 8, 2)
    assert conditioned.learning_rate.at(94_500, 94_500) == 0
    with pytest.raises(UserError, match="Did you mean 'constant'"):
        get_recipe("constnt", "large")


def test_a_shortened_run_keeps_its_course():
    recipe = shortened(get_recipe("constant", "large"), 252)
    assert (recipe.learning_rate.warmup, recipe.learning_rate.decay) == (12, 12)
    assert recipe.phase(239).frames == 16
    assert recipe.phase(240).frames == 64


def test_a_crop_is_the_same_in_all_frames_and_within_its_ranges():
    rows, columns = np.mgrid[:60, :80].astype(np.uint8)
    frames = np.broadcast_to(np.stack([rows, columns, rows], -1), (3, 60, 80, 3))
    augment = Augmentation(flip=True)
    flipped = 0
    for seed in range(50):
        part = augment(frames, False, np.random.default_rng(seed))
        assert np.array_equal(part[0], part[2])
        height, width = part.shape[1:3]
        assert 0.28 < height * width / 4800 <= 1
        assert 0.7 < width / height < 1.4
        assert np.all(np.diff(part[0, :, 0, 0]) == 1)
        flipped += part[0, 0, 0, 1] > part[0, 0, -1, 1]
    assert 10 < flipped < 40
    assert all(np.diff(augment(frames, True, np.random.default_rng(seed))[0, 0, :, 1]).min() == 1 for seed in range(20))


def stage_two(first_release):
    torch.manual_seed(0)
    encoder = EncoderConfig(image_size=32, patch_size=8, dim=48, depth=1, heads=2, mlp_hidden=48)
    sizes = ACPredictorConfig(dim=48, depth=1, heads=2, mlp_hidden=48)
    model = WorldModel(
        ModelCard(name="test", encoder=encoder, transform=ImageTransform(32), predictor=sizes, decoders=False)
    )
    config = shortened(PRESETS["giant"].train, 10)
    from dataclasses import replace

    return StageTwo(model, replace(config, frames=4, first_release_rollout=first_release)), model.predictor


@pytest.mark.parametrize("first_release", [False, True])
def test_the_rollout_and_the_first_releases_mistake(first_release):
    """By hand: context [z₁, ẑ₂] gives ẑ₃. In the first release ẑ₃ of teacher forcing stood in ẑ₂'s place."""
    objective, predictor = stage_two(first_release)
    z, actions, states = torch.randn(2, 4, 16, 48), torch.randn(2, 3, 7), torch.randn(2, 4, 7)
    with torch.no_grad():
        losses = objective(
            MotionBatch(z=z, actions=actions, states=states, objects=torch.full((2, 4, 3), torch.nan), pairs=None)
        )
        forced = predictor(z[:, :3], actions, states[:, :3])
        second = forced[:, 1] if first_release else forced[:, 0]
        third = predictor(torch.stack([z[:, 0], second], 1), actions[:, :2], states[:, :2])[:, 1]
    assert losses["teacher_forcing"] == pytest.approx(float((forced - z[:, 1:]).abs().mean()), abs=1e-6)
    expected = ((second - z[:, 1]).abs().mean() + (third - z[:, 2]).abs().mean()) / 2
    assert losses["rollout"] == pytest.approx(float(expected), abs=1e-6)
    assert losses["loss"] == pytest.approx(float(losses["teacher_forcing"] + losses["rollout"]), abs=1e-6)


def test_recomputing_gives_the_same_gradients():
    torch.manual_seed(0)
    encoder = EncoderConfig(image_size=32, patch_size=8, dim=48, depth=2, heads=2, mlp_hidden=48)
    predictor = ACPredictor(ACPredictorConfig(dim=48, depth=2, heads=2, mlp_hidden=48), encoder)
    arguments = torch.randn(2, 3, 16, 48), torch.randn(2, 3, 7), torch.randn(2, 3, 7)
    gradients = []
    for recompute in (False, True):
        predictor.recompute = recompute
        predictor.zero_grad()
        predictor(*arguments).square().sum().backward()
        gradients.append([p.grad.clone() for p in predictor.parameters() if p.grad is not None])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)
