import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.card import ModelCard, read_card
from vjepa_sim.checkpoint import BUNDLED, fingerprint
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.ac_predictor import ACPredictorConfig
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

CARD = ModelCard(
    name="test",
    encoder=EncoderConfig(image_size=32, patch_size=8, dim=48, depth=1, heads=2, mlp_hidden=48),
    transform=ImageTransform(32),
    predictor=ACPredictorConfig(dim=48, depth=1, heads=2, mlp_hidden=48, residual=True, state_rotation="matrix"),
    period=0.25,
    data=({"seeds": [2**31]},),
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = WorldModel(CARD).eval()
    torch.nn.init.normal_(made.predictor.predictor_proj.weight, std=0.1)
    return made


def test_saving_and_loading_is_identity(model, tmp_path):
    model.save_pretrained(tmp_path)
    back = WorldModel.from_pretrained(tmp_path)
    assert back.card == model.card
    assert back.card.training_seeds() == {2**31}
    rgb = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), np.uint8)
    assert torch.equal(back.encode(rgb), model.encode(rgb))


def test_half_precision_is_half_the_size_and_widened_when_loaded(model, tmp_path):
    model.save_pretrained(tmp_path / "whole")
    assert main(["convert", "weights", str(tmp_path / "whole"), "--half", "--out", str(tmp_path / "half")]) == 0
    whole, half = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half"))
    assert 0.45 * whole < half < 0.6 * whole
    back = WorldModel.from_pretrained(tmp_path / "half")
    assert back.card == model.card
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor.half().float()), name


def test_rollout_equals_steps_by_hand(model):
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    z, state = model.encode(rgb)[0], torch.tensor([0.4, 0, 0.3, np.pi, 0, 0.1, 0.5])
    actions = torch.randn(3, 2, 7) * 0.05
    ends = model.rollout(z, state, actions)
    assert ends.shape == (3, 2, 16, 48)
    from vjepa_sim.models.rotation import integrate

    with torch.inference_mode():
        for i in range(3):
            first = model.predictor(z[None, None], actions[i : i + 1, :1], state[None, None])
            states = torch.stack([state, integrate(state, actions[i, 0])])[None]
            second = model.predictor(torch.cat([z[None, None], first], 1), actions[i : i + 1], states)[:, -1]
            torch.testing.assert_close(ends[i, 0], first[0, 0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(ends[i, 1], second[0], atol=1e-5, rtol=1e-5)


def test_rollouts_of_other_shapes_are_refused(model):
    z, state = torch.zeros(16, 48), np.zeros(7, np.float32)
    assert model.rollout(z, state, np.zeros((2, 1, 7), np.float32)).shape == (2, 1, 16, 48)
    for wrong in ((z[None], state, torch.zeros(2, 1, 7)), (z, state, torch.zeros(2, 1, 6)), (z, state[:6], z)):
        with pytest.raises(UserError, match="rollout\\(\\) takes"):
            model.rollout(*wrong)


def test_an_encoder_alone_cannot_imagine(model):
    alone = WorldModel(replace(CARD, predictor=None))
    with pytest.raises(UserError, match="vjepa-sim train"):
        alone.rollout(torch.zeros(16, 48), torch.zeros(7), torch.zeros(1, 1, 7))


def test_weights_that_do_not_fit_are_listed(model, tmp_path):
    from safetensors.torch import load_file, save_file

    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors["encoder.norm.bias"] = torch.zeros(7)
    tensors["surplus"] = torch.zeros(1)
    tensors["encoder.norm.weight"][0] = float("nan")
    del tensors["predictor.predictor_norm.bias"]
    save_file(tensors, path)
    with pytest.raises(UserError) as error:
        WorldModel.from_pretrained(tmp_path)
    for part in (
        "missing predictor.predictor_norm.bias",
        "unexpected surplus",
        "encoder.norm.bias has shape (7,)",
        "not finite",
    ):
        assert part in str(error.value)


def cut_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def cut_card(folder):
    (folder / "card.json").write_text('{"name": ')


def unknown_field(folder):
    card = json.loads((folder / "card.json").read_text())
    card["encoder"]["colour"] = "blue"
    (folder / "card.json").write_text(json.dumps(card))


def odd_field(part, name, value):
    def damage(folder):
        card = json.loads((folder / "card.json").read_text())
        (card[part] if part else card)[name] = value
        (folder / "card.json").write_text(json.dumps(card))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_weights, "can't be read"),
        (cut_card, "not readable as JSON"),
        (lambda folder: (folder / "card.json").write_text("[" * 200_000), "not readable as JSON"),
        (unknown_field, "colour"),
        (odd_field("encoder", "depth", 100_000), "no model has more than 1000"),
        (odd_field("transform", "antialias", "no"), "expected true or false"),
        (odd_field("encoder", "rope", "corect"), "Did you mean 'correct'"),
        (odd_field("encoder", "heads", 0), "heads is 0"),
        (odd_field("encoder", "patch_size", 7), "don't fill an image"),
        (odd_field("predictor", "merge", 0), "merge is 0"),
        (odd_field("predictor", "action_scale", [1.0]), "7 numbers above 0"),
        (odd_field("predictor", "state_rotation", "quaternion"), "euler, matrix"),
        (odd_field("transform", "size", 64), "makes images of 64 pixels; its encoder takes 32"),
        (odd_field("transform", "mean", [0.5]), "expected 3 numbers"),
        (odd_field(None, "period", "0.25"), "period is '0.25'"),
        (odd_field(None, "data", "x"), "list of records"),
    ],
)
def test_a_damaged_checkpoint_is_named(model, tmp_path, damage, message):
    model.save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        WorldModel.from_pretrained(tmp_path)


def test_absent_checkpoints_are_named(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'tiny'"):
        WorldModel.from_pretrained("tinny")
    with pytest.raises(UserError, match="no checkpoint folder"):
        WorldModel.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a checkpoint"):
        WorldModel.from_pretrained(tmp_path)


def test_the_bundled_model_loads_and_fits_the_simulator():
    from vjepa_sim.envs.simulation.simulation import PERIOD

    model = WorldModel.from_pretrained("tiny")
    assert model.card.period == pytest.approx(PERIOD)
    assert all(seed >= 2**31 for seed in model.card.training_seeds())
    assert model.encode(np.zeros((256, 256, 3), np.uint8)).shape == (1, 64, model.card.encoder.dim)


def test_a_model_of_another_arm_is_refused_with_both_named():
    model = WorldModel.from_pretrained("tiny")
    own = {"period": model.card.period, "size": 256, "gripper": "robotiq"}
    model.card.check_fit(arm="panda", **own)
    with pytest.raises(UserError, match=r"'tiny' was trained with the arm panda; this is ur5e"):
        model.card.check_fit(arm="ur5e", **own)
    card = model.with_card(data=({"grippers": ["robotiq"], "arms": ["ur5e"]},)).card
    assert list(card.misfits(arm="panda", **own)) == ["arm"]
    card.check_fit(arm="ur5e", **own)
    for record in ({"grippers": ["robotiq"]}, {"grippers": ["robotiq"], "arms": []}):  # unknown fits any
        model.with_card(data=(record,)).card.check_fit(arm="ur5e", **own)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUNDLED.glob("*/card.json")))
def test_bundled_models_are_the_pandas(name):
    data = json.loads((BUNDLED / name / "card.json").read_text())["data"]
    assert data and all(record["arms"] == ["panda"] for record in data)


# --- the image transform --------------------------------------------------------------------------------------


def test_a_wide_picture_loses_its_sides():
    picture = np.zeros((1, 72, 128, 3), np.uint8)
    picture[:, :, 28:100] = 255  # the middle square
    transform = ImageTransform(36, mean=(0, 0, 0), std=(1, 1, 1))
    torch.testing.assert_close(transform(picture), torch.ones(1, 3, 36, 36))


def test_the_released_models_crop():
    """1280 × 720 becomes 972 × 720, squashed."""
    picture = np.zeros((1, 720, 1280, 3), np.uint8)
    picture[:, :, 154:1126] = 255
    transform = ImageTransform(256, max_aspect=1.35, mean=(0, 0, 0), std=(1, 1, 1))
    torch.testing.assert_close(transform(picture), torch.ones(1, 3, 256, 256))


def test_inverting_the_transform_gives_the_picture_back():
    picture = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    transform = ImageTransform(32)
    assert np.array_equal(transform.invert(transform(picture)), picture)


def test_other_types_are_refused():
    with pytest.raises(UserError, match="uint8"):
        ImageTransform(32)(np.zeros((1, 32, 32, 3), np.float32))


def test_a_model_that_was_scored_since_is_the_same(model, tmp_path):
    model.save_pretrained(tmp_path)
    before, card = fingerprint(tmp_path), tmp_path / "card.json"
    told = json.loads(card.read_text())
    since = {"name": "other", "measured": {"success": 1.0}, "training": {"hours": 2}}
    card.write_text(json.dumps({**told, **since}))
    assert fingerprint(tmp_path) == before
    card.write_text(json.dumps({**told, "period": 1.0}))
    assert fingerprint(tmp_path) != before
    card.write_text(json.dumps(told))
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    assert fingerprint(tmp_path) != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": [{"seeds": "all"}]}, "seeds 'all'; expected a list of int"),
        ({"data": [{"arms": [3]}]}, r"arms \[3\]; expected a list of str"),
        ({"training": 3}, "training is 3; expected dict"),
        ({"goal_policy": "x"}, "goal_policy is 'x'"),
        ({"predictor": True}, "predictor"),
        ({"goal_policy": {"depth": 100_000}}, "100000 blocks"),
    ],
)
def test_a_card_with_values_of_other_types_is_refused(change, message, tmp_path):
    card = json.loads((BUNDLED / "tiny" / "card.json").read_text())
    if isinstance(change.get("goal_policy"), dict):
        change = {"goal_policy": {**card["goal_policy"], **change["goal_policy"]}}
    (tmp_path / "card.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(UserError, match=message):
        read_card(tmp_path / "card.json")
