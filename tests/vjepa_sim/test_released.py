"""Files in Meta's and Hugging Face's layouts: read whole, strictly, and without running anything."""

import json
import pickle

import numpy as np
import pytest
import torch

from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.encoder import Encoder, EncoderConfig
from vjepa_sim.models.mask_predictor import Predictor, PredictorConfig
from vjepa_sim.world_model import WorldModel

ENCODER = EncoderConfig(image_size=256, dim=64, depth=2, heads=1, mlp_hidden=128)


def wrapped(module, prefix):
    return {prefix + name: value for name, value in module.state_dict().items()}


@pytest.fixture
def pretraining():
    """What Meta's pretraining writes, small."""
    torch.manual_seed(0)
    encoder, target = Encoder(ENCODER), Encoder(ENCODER)
    predictor = Predictor(PredictorConfig(dim=32, depth=1, heads=1, mlp_hidden=64), ENCODER)
    return {
        "encoder": wrapped(encoder, "module.backbone.") | {"module.backbone.pos_embed": torch.zeros(1, 4, 64)},
        "target_encoder": wrapped(target, "module.backbone."),
        "predictor": wrapped(predictor, "module.backbone."),
        "opt": {"state": {}, "param_groups": []},
        "scaler": None,
        "epoch": 3,
        "loss": 0.5,
        "batch_size": 24,
        "world_size": 128,
        "lr": 1e-4,
    }


@pytest.fixture
def action_conditioned():
    """V-JEPA 2-AC's file, small."""
    torch.manual_seed(0)
    predictor = ACPredictor(ACPredictorConfig(dim=64, depth=2, heads=1, mlp_hidden=128), ENCODER)
    return {"encoder": wrapped(Encoder(ENCODER), "module."), "predictor": wrapped(predictor, "module.")}


def save(content, folder, name="vit.pt"):
    path = folder / name
    torch.save(content, path)
    return path


def test_the_branch_is_the_users_and_is_told(pretraining, tmp_path):
    path = save(pretraining, tmp_path)
    for branch, expected in ((None, "target_encoder"), ("encoder", "encoder"), ("target_encoder", "target_encoder")):
        model = WorldModel.from_pretrained(path, branch=branch)
        wanted = pretraining[expected]["module.backbone.blocks.1.attn.qkv.weight"]
        assert torch.equal(model.encoder.blocks[1].attn.qkv.weight, wanted)
        assert model.card.training["released"]["branch"] == expected
    assert len(model.mask_predictor.mask_tokens) == 10
    assert model.predictor is None
    assert model.card.encoder == ENCODER


def test_an_action_conditioned_file_plans(action_conditioned, tmp_path):
    model = WorldModel.from_pretrained(save(action_conditioned, tmp_path, "vjepa2-ac.pt"))
    assert model.card.transform.max_aspect == 1.35
    assert model.card.period == 1.0
    z = model.encode(np.zeros((720, 1280, 3), np.uint8))[0]
    assert model.rollout(z, torch.zeros(7), torch.zeros(3, 2, 7)).shape == (3, 2, 256, 64)


def test_a_name_with_384_is_the_larger_input(pretraining, tmp_path):
    assert WorldModel.from_pretrained(save(pretraining, tmp_path, "vitg-384.pt")).card.transform.size == 384


def test_converted_is_the_same_model(action_conditioned, tmp_path):
    model = WorldModel.from_pretrained(save(action_conditioned, tmp_path))
    model.save_pretrained(tmp_path / "ours")
    back = WorldModel.from_pretrained(tmp_path / "ours")
    assert back.card == model.card
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))


# --- what can be wrong ----------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        import os

        return os.mkdir, ("executed",)


def test_pickled_code_is_never_executed(action_conditioned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="tensors only"):
        WorldModel.from_pretrained(save({**action_conditioned, "opt": Evil()}, tmp_path))
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="tensors only"):
        WorldModel.from_pretrained(tmp_path / "plain.pt")
    assert not (tmp_path / "executed").exists()


def test_missing_extra_and_misshapen_tensors_are_listed(action_conditioned, tmp_path):
    encoder, predictor = action_conditioned["encoder"], action_conditioned["predictor"]
    del encoder["module.norm.weight"]
    encoder["module.surplus"] = torch.zeros(1)
    predictor["module.state_encoder.weight"] = torch.zeros(64, 9)
    predictor["module.action_encoder.bias"] = torch.full((64,), float("nan"))
    with pytest.raises(UserError) as error:
        WorldModel.from_pretrained(save(action_conditioned, tmp_path))
    for part in (
        "missing encoder.norm.weight",
        "unexpected encoder.surplus",
        "predictor.state_encoder.weight has shape (64, 9), expected (64, 7)",
        "predictor.action_encoder.bias holds numbers that are not finite",
    ):
        assert part in str(error.value)


def cut(content, folder):
    path = save(content, folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def wrong_prefix(content, folder):
    content["encoder"] = {f"model.{name}": value for name, value in content["encoder"].items()}
    return save(content, folder)


def no_encoder(content, folder):
    return save({"weights": content["encoder"]}, folder)


def a_list(content, folder):
    return save([1, 2], folder)


def encoder_is_a_list(content, folder):
    return save({"encoder": [1, 2]}, folder)


def flat_patches(content, folder):
    content["encoder"]["module.patch_embed.proj.weight"] = torch.zeros(64, 8)
    return save(content, folder)


def no_mlp(content, folder):
    del content["predictor"]["module.predictor_blocks.0.mlp.fc1.weight"]
    return save(content, folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "download complete"),
        (wrong_prefix, "is not a V-JEPA 2 model: patch_embed.proj.weight"),
        (encoder_is_a_list, "holds no encoder"),
        (flat_patches, "with 5 dimensions is expected"),
        (no_mlp, "predictor_blocks.0.mlp.fc1.weight with 2"),
        (no_encoder, "its entries are weights"),
        (a_list, "holds a list"),
    ],
)
def test_other_files_are_named(action_conditioned, tmp_path, damage, message):
    with pytest.raises(UserError, match=message):
        WorldModel.from_pretrained(damage(action_conditioned, tmp_path))


def test_branches_that_are_not_there_are_refused(action_conditioned, tmp_path):
    path = save(action_conditioned, tmp_path)
    with pytest.raises(UserError, match="no 'target_encoder', only encoder"):
        WorldModel.from_pretrained(path, branch="target_encoder")
    with pytest.raises(UserError, match="Did you mean 'encoder'"):
        WorldModel.from_pretrained(path, branch="encodr")
    with pytest.raises(UserError, match="holds one encoder of one size"):
        WorldModel.from_pretrained("tiny", branch="encoder")


def test_other_hugging_face_models_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(UserError, match="model_type is 'vit'"):
        WorldModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vjepa2"}))
    with pytest.raises(UserError, match=r"no \.safetensors"):
        WorldModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="holds a list"):
        WorldModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not a configuration"):
        WorldModel.from_pretrained(tmp_path)
