"""Files in Meta's and Hugging Face's layouts: read whole, strictly, and without running anything."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.encoder import Encoder, EncoderConfig
from vjepa_sim.models.mask_predictor import Predictor, PredictorConfig
from vjepa_sim.release_options import ReleaseOptions
from vjepa_sim.released.sizes import transformer_sizes
from vjepa_sim.world_model import WorldModel

ENCODER = EncoderConfig(image_size=256, dim=64, depth=2, heads=1, mlp_hidden=128)
STATED = ReleaseOptions(heads=1, predictor_heads=1)  # no released model is as small


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
        model = WorldModel.from_pretrained(path, replace(STATED, branch=branch))
        wanted = pretraining[expected]["module.backbone.blocks.1.attn.qkv.weight"]
        assert torch.equal(model.encoder.blocks[1].attn.qkv.weight, wanted)
        assert model.card.training["released"]["branch"] == expected
    assert len(model.mask_predictor.mask_tokens) == 10
    assert model.predictor is None
    assert model.card.encoder == ENCODER


def test_an_action_conditioned_file_plans(action_conditioned, tmp_path):
    model = WorldModel.from_pretrained(save(action_conditioned, tmp_path, "vjepa2-ac.pt"), STATED)
    assert model.card.transform.max_aspect == 1.35
    assert model.card.period == 1.0
    z = model.encode(np.zeros((720, 1280, 3), np.uint8))[0]
    assert model.rollout(z, torch.zeros(7), torch.zeros(3, 2, 7)).shape == (3, 2, 256, 64)


def test_a_name_with_384_is_the_larger_input(pretraining, tmp_path):
    assert WorldModel.from_pretrained(save(pretraining, tmp_path, "vitg-384.pt"), STATED).card.transform.size == 384


def test_converted_is_the_same_model(action_conditioned, tmp_path):
    model = WorldModel.from_pretrained(save(action_conditioned, tmp_path), STATED)
    model.save_pretrained(tmp_path / "ours")
    back = WorldModel.from_pretrained(tmp_path / "ours")
    assert back.card == model.card
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))


# --- what files don't hold --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "flag"), [("heads", "--heads"), ("predictor_heads", "--predictor-heads")])
def test_head_counts_of_other_sizes_must_be_stated(action_conditioned, tmp_path, missing, flag):
    path = save(action_conditioned, tmp_path)
    with pytest.raises(UserError, match=f"64 wide and 2 blocks deep, like none that Meta released.*{flag} N"):
        WorldModel.from_pretrained(path, replace(STATED, **{missing: None}))
    with pytest.raises(UserError, match="7 heads don't divide"):
        WorldModel.from_pretrained(path, replace(STATED, **{missing: 7}))
    assert WorldModel.from_pretrained(path, replace(STATED, **{missing: 2})).card.training["released"]["assumed"]


@pytest.mark.parametrize(
    ("dim", "depth", "heads"), [(768, 12, 12), (1024, 24, 16), (1280, 32, 16), (1408, 40, 22), (1664, 48, 26)]
)
def test_head_counts_of_released_sizes_are_known(tmp_path, dim, depth, heads):
    tensors = {f"blocks.{number}.mlp.fc1.weight": torch.empty(8, dim, device="meta") for number in range(depth)}
    assert transformer_sizes(tmp_path, tensors, dim, part="encoder", heads=None)["heads"] == heads


def test_camera_poses_are_used_if_their_weights_were_trained(action_conditioned, tmp_path):
    bias = action_conditioned["predictor"]["module.extrinsics_encoder.bias"]
    assert not bias.any()
    assert not WorldModel.from_pretrained(save(action_conditioned, tmp_path), STATED).card.predictor.extrinsics
    bias[3] = 0.01
    path = save(action_conditioned, tmp_path)
    assert WorldModel.from_pretrained(path, STATED).card.predictor.extrinsics
    assert not WorldModel.from_pretrained(path, replace(STATED, extrinsics=False)).card.predictor.extrinsics


def test_learned_positions_are_let_go_only_where_they_are_known_to_be_left_over(pretraining, tmp_path):
    """Ten mask tokens are V-JEPA 2's; V-JEPA 1 has two."""
    for number in range(2, 10):
        del pretraining["predictor"][f"module.backbone.mask_tokens.{number}"]
    pretraining["target_encoder"]["module.backbone.pos_embed"] = torch.zeros(1, 4, 64)
    path = save(pretraining, tmp_path)
    with pytest.raises(UserError, match=r"learned positions \(pos_embed\).*V-JEPA 1.*--rotary True"):
        WorldModel.from_pretrained(path, STATED)
    WorldModel.from_pretrained(path, replace(STATED, rotary=True))
    with pytest.raises(UserError, match="can't be loaded"):
        replace(STATED, rotary=False)


def test_images_are_resized_as_meta_does(action_conditioned, tmp_path):
    """Bilinear, without smoothing: pixel (i, j) of the result mixes four pixels only."""
    transform = WorldModel.from_pretrained(save(action_conditioned, tmp_path), STATED).card.transform
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, 720, 972, 3), np.uint8)
    rows, columns = ((np.arange(256) + 0.5) * side / 256 - 0.5 for side in (720, 972))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
    pixels = image[0] / 255
    expected = (
        pixels[top][:, left] * (1 - down) * (1 - right)
        + pixels[top][:, left + 1] * (1 - down) * right
        + pixels[top + 1][:, left] * down * (1 - right)
        + pixels[top + 1][:, left + 1] * down * right
    )
    ours = transform(image)[0].permute(1, 2, 0).numpy() * transform.std + transform.mean
    np.testing.assert_allclose(ours, expected, atol=1e-5)


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
        WorldModel.from_pretrained(save(action_conditioned, tmp_path), STATED)
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
        WorldModel.from_pretrained(damage(action_conditioned, tmp_path), STATED)


def test_branches_that_are_not_there_are_refused(action_conditioned, tmp_path):
    path = save(action_conditioned, tmp_path)
    with pytest.raises(UserError, match="no 'target_encoder', only encoder"):
        WorldModel.from_pretrained(path, ReleaseOptions(branch="target_encoder"))
    with pytest.raises(UserError, match="Did you mean 'encoder'"):
        WorldModel.from_pretrained(path, ReleaseOptions(branch="encodr"))
    with pytest.raises(UserError, match="has a card, which states branch"):
        WorldModel.from_pretrained("tiny", ReleaseOptions(branch="encoder"))


def test_other_hugging_face_models_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(UserError, match="model_type is 'vit'"):
        WorldModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vjepa2"}))
    with pytest.raises(UserError, match=r"no \.safetensors"):
        WorldModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="expected a JSON object, found list"):
        WorldModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        WorldModel.from_pretrained(tmp_path)
