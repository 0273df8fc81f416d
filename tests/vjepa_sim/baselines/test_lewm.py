"""One token a picture: what keeps tokens apart, imagining, learning, stopping and going on."""

import json

import numpy as np
import pytest
import torch

from vjepa_sim.agents import load_agent
from vjepa_sim.baselines.lewm import LeWM, LeWMConfig, departure_from_normal, learn_lewm
from vjepa_sim.card import ModelCard, read_card
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.models.one_token import OneTokenConfig, TokenPredictorConfig
from vjepa_sim.training.distributed import Compute
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_measurements")]

ENCODER = OneTokenConfig(image_size=64, stem=(8, 8, 16, 16), dim=24, depth=1, heads=2, mlp_hidden=32)
PREDICTOR = TokenPredictorConfig(dim=24, depth=2, heads=2, mlp_hidden=32)
CONFIG = LeWMConfig(steps=3, batch=4, projections=32)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    card = ModelCard(
        name="test",
        encoder=ENCODER,
        transform=ImageTransform(64),
        predictor=PREDICTOR,
        object_decoder=True,
        period=0.25,
    )
    model = WorldModel(card)
    torch.nn.init.normal_(model.predictor.out.weight, std=0.2)
    for block in model.predictor.blocks:
        torch.nn.init.normal_(block.modulate.weight, std=0.2)
    return model.eval()


def test_normal_samples_depart_least_from_normal():
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(400, 16, generator=generator)
    usual = departure_from_normal(normal, 256, 0)
    assert 0.2 < usual < 3
    assert departure_from_normal(torch.randn(1600, 16, generator=generator), 256, 0) < 3  # whatever their number
    for other in (
        normal * 0.1,
        normal * 3,
        normal + 1,
        normal[:1].expand(400, -1),
        normal.sign() * (normal[:, :1] > 0),
    ):
        assert departure_from_normal(other, 256, 0) > 3 * usual


def test_frames_of_a_clip_that_are_alike_are_no_departure(model):
    """Each moment is looked at across clips; what is still within a clip costs nothing."""
    generator = torch.Generator().manual_seed(0)
    still = torch.randn(300, 1, 24, generator=generator).expand(-1, 4, -1)

    class Encoder(torch.nn.Module):
        def still(self, images):
            return still.flatten(0, 1)[:, None]

    objective = LeWM(model, CONFIG, Compute())
    objective.encoder = Encoder()
    images, actions, states = torch.zeros(300, 4, 3, 1, 1), torch.zeros(300, 3, 7), torch.zeros(300, 4, 7)
    losses = objective(images, actions, states, torch.zeros(300, 4, 3), 0)
    assert float(losses["normal"]) == pytest.approx(float(departure_from_normal(still[:, 0], 32, 0)), rel=1e-4)


def test_descending_it_spreads_samples_that_were_the_same():
    torch.manual_seed(0)
    x = (torch.randn(200, 4) * 0.05).requires_grad_()
    optimizer = torch.optim.Adam([x], 0.05)
    for step in range(150):
        optimizer.zero_grad()
        departure_from_normal(x, 64, step).backward()
        optimizer.step()
    assert torch.cov(x.detach().T).sub(torch.eye(4)).abs().max() < 0.3


def test_imagining_step_by_step_is_what_forward_predicts(model):
    z, actions = torch.randn(1, 24), torch.randn(3, 2, 7) * 0.05
    imagined = model.rollout(z, torch.zeros(7), actions)
    assert imagined.shape == (3, 2, 1, 24)
    seen = torch.cat([z[None, None].expand(3, 1, -1, -1), imagined[:, :1]], 1)
    torch.testing.assert_close(imagined[:, 1:], model.predictor(seen, actions)[:, 1:])
    first_alone = model.rollout(z, torch.zeros(7), actions[:, :1])
    torch.testing.assert_close(imagined[:, :1], first_alone)  # causal: what comes later changes nothing
    assert (model.rollout(z, torch.zeros(7), actions * 2) - imagined).abs().max() > 1e-3


def test_it_imagines_from_no_more_frames_than_it_learned_from(model):
    context = PREDICTOR.context
    z, actions = torch.randn(1, 24), torch.randn(2, context + 2, 7) * 0.05
    imagined = model.rollout(z, torch.zeros(7), actions)
    newest = model.predictor(imagined[:, -context - 1 : -1], actions[:, -context:])
    torch.testing.assert_close(imagined[:, -1], newest[:, -1])
    with pytest.raises(UserError, match=f"looks at {context} frames at most; {context + 1}"):
        model.predictor(torch.randn(1, context + 1, 1, 24), actions[:1, : context + 1])


def test_counters_stay_whole_numbers_in_half_precision(model, tmp_path):
    counter = model.encoder.project[1].num_batches_tracked
    counter.fill_(70_000)  # more than a half can hold
    model.save_pretrained(tmp_path, half=True)
    again = WorldModel.from_pretrained(tmp_path)
    assert torch.equal(again.encoder.project[1].num_batches_tracked, counter)
    assert again.encoder.places.dtype == torch.float32


def test_its_card_says_what_kind_it_is(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "card.json").read_text())["encoder"]["kind"] == "one-token"
    assert read_card(tmp_path / "card.json") == model.card
    again = WorldModel.from_pretrained(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    torch.testing.assert_close(again.encode(picture), model.encode(picture))


def test_a_stopped_run_goes_on_as_if_it_had_not_been(mixture, tmp_path, stopping):
    sizes = {"encoder": ENCODER, "predictor": PREDICTOR}
    whole = learn_lewm(mixture, tmp_path / "whole", CONFIG, seed=0, report=lambda *_: None, **sizes)

    with pytest.raises(KeyboardInterrupt):
        learn_lewm(mixture, tmp_path / "stopped", CONFIG, seed=0, report=stopping, **sizes)
    resumed = learn_lewm(mixture, tmp_path / "stopped", CONFIG, seed=0, report=lambda *_: None, **sizes)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert {"prediction", "normal", "copy", "state", "object"} <= set(whole.card.measured)


def test_the_command_learns_one_that_plans(episodes_folder, tmp_path, capsys):
    short = ["--steps", "1", "--batch", "2", "--threads", "1", "--out", str(tmp_path / "run")]
    assert main(["baseline", "lewm", "--data", f"sim:{episodes_folder}", *short]) == 0
    assert "prediction" in capsys.readouterr().out
    agent = load_agent("mpc", str(tmp_path / "run"))
    picture = np.zeros((128, 128, 3), np.uint8)
    agent.begin([Goal(picture, 1)])
    assert agent.act(Observation(picture, np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32), 0.0)).shape == (7,)
    assert main(["baseline", "levm", "--data", "sim:x", "--out", str(tmp_path / "other")]) == 2
    assert "Did you mean 'lewm'" in capsys.readouterr().err
