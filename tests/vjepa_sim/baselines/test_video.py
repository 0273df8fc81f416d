"""Generated pictures: the tokeniser, the denoiser's laws, learning, planning in latents and in pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_sim.agents import load_agent
from vjepa_sim.agents.planning.mpc import MPCAgent
from vjepa_sim.agents.planning.presets import PLANNERS
from vjepa_sim.baselines.video import VideoConfig, learn_denoiser, learn_tokeniser
from vjepa_sim.card import ModelCard
from vjepa_sim.cli import main
from vjepa_sim.cli.baseline import Baseline
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.models.denoiser import Denoiser, DenoiserConfig, denoising_loss
from vjepa_sim.models.tokeniser import TokeniserConfig
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.schedule import constant
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_measurements")]

TOKENISER = TokeniserConfig(image_size=32, widths=(8, 8), dim=4)
DENOISER = DenoiserConfig(dim=32, depth=1, heads=2, mlp_hidden=32, steps=4)
STATE = np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    card = ModelCard(name="test", encoder=TOKENISER, transform=ImageTransform(32), predictor=DENOISER, period=0.25)
    model = WorldModel(card)
    for block in model.predictor.blocks:
        torch.nn.init.normal_(block.modulate.weight, std=0.2)
    torch.nn.init.normal_(model.predictor.out.weight)  # as it is born, it changes nothing
    return model.eval()


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)


def test_latents_are_a_grid_that_gives_pictures_back(model):
    z = model.encode(np.stack([picture(0), picture(1)]))
    assert z.shape == (2, 64, 4)
    assert model.pixel_decoder(z).shape == (2, 3, 32, 32)


def test_patches_and_latents_are_inverse():
    denoiser = Denoiser(DENOISER, TOKENISER)
    z = torch.randn(2, 64, 4)
    assert torch.equal(denoiser._latents(denoiser._patches(z)), z)
    # A patch is a square of the grid: its latents are neighbours.
    grid = torch.arange(64.0).view(1, 64, 1).expand(1, 64, 4)
    assert set(denoiser._patches(grid)[0, 0].tolist()) == {0.0, 1.0, 8.0, 9.0}


def test_a_denoiser_generates_what_it_was_shown():
    """The next picture is the present one, moved by the action: after some learning that is what comes out of noise."""
    torch.manual_seed(0)
    denoiser = Denoiser(replace(DENOISER, dim=64, depth=2, mlp_hidden=128), TOKENISER)
    optimizer, generator = torch.optim.Adam(denoiser.parameters(), 3e-3), torch.Generator().manual_seed(0)
    states = torch.from_numpy(STATE).expand(64, 7)

    def world(count):
        z = torch.randn(count, 1, 4, generator=generator).expand(-1, 64, -1)
        actions = torch.zeros(count, 7)
        actions[:, 0] = 0.05 * (torch.rand(count, generator=generator) * 2 - 1)
        return z, actions, z + 20 * actions[:, :1, None]

    for _ in range(200):
        z, actions, following = world(32)
        noise, levels = torch.randn(32, 64, 4, generator=generator), torch.rand(32, generator=generator)
        loss = denoising_loss(
            denoiser, z=torch.stack([z, following], 1), states=states[:32], actions=actions, noise=noise, levels=levels
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    z, actions, following = world(20)
    with torch.no_grad():
        made = torch.cat([denoiser.imagine(z[i], states[0], actions[i : i + 1, None])[:, 0] for i in range(20)])
    assert (made - following).abs().mean() < 0.5 * (z - following).abs().mean()


def test_samples_share_their_noise(model):
    z, action = model.encode(picture(0))[0], torch.zeros(7)
    actions = torch.stack([action, action, action + 0.05])[:, None]
    same, again, other = model.rollout(z, STATE, actions)[:, 0]
    torch.testing.assert_close(same, again)
    assert (same - other).abs().max() > 1e-4


@pytest.mark.parametrize("planner", ["latent", "pixels"])
def test_it_plans(model, planner):
    agent = MPCAgent(model, PLANNERS[planner].config)
    agent.begin([Goal(picture(1), 1)])
    assert agent.act(Observation(picture(0), STATE, 0.0)).shape == (7,)


def test_pixels_need_a_model_that_gives_them_back(model):
    blind = WorldModel(replace(model.card, decoders=False))
    with pytest.raises(UserError, match="another planner than pixels"):
        MPCAgent(blind, PLANNERS["pixels"].config)


def test_the_tokeniser_learns_to_give_back(mixture, tmp_path):
    config = VideoConfig(steps=480, batch=4, learning_rate=constant(6e-3))
    errors = []
    sizes = TokeniserConfig(image_size=64, widths=(8, 16), dim=8)
    learned = learn_tokeniser(
        mixture,
        tmp_path / "run",
        config,
        seed=0,
        report=lambda step, steps, told: errors.append(told),
        compute=Compute(),
        sizes=sizes,
    )
    losses = [told["tokeniser/loss"] for told in errors if "tokeniser/loss" in told]
    assert losses[-1] < 0.6 * losses[0]
    assert learned.card.measured["picture_error"] > 0


def test_options_reach_both_runs(tmp_path):
    given = Baseline(method="video", data=("sim:x",), out=tmp_path, steps=120, learning_rate=4e-3)
    config = given.adjust(VideoConfig())
    for schedule, peak in ((config.learning_rate, 4e-3), (config.tokeniser_rate, 2e-3)):
        assert schedule.warmup == 1  # of a hundredth of the steps
        assert schedule.peak == pytest.approx(peak)
    assert config.tokeniser_steps == 40


def tokeniser_of(mixture, out, report):
    sizes = TokeniserConfig(image_size=64, widths=(8, 16), dim=8)
    return learn_tokeniser(
        mixture, out, VideoConfig(steps=24, batch=4), seed=0, report=report, compute=Compute(), sizes=sizes
    )


def denoiser_of(mixture, out, report):
    folder = out.with_name("tokeniser")
    tokeniser_of(mixture, folder, lambda *_: None)
    config = VideoConfig(steps=4, batch=4)
    return learn_denoiser(
        mixture,
        str(folder),
        out,
        config,
        seed=0,
        report=report,
        compute=Compute(),
        on_encoded=lambda *_: None,
        sizes=DENOISER,
    )


@pytest.mark.parametrize("learn", [tokeniser_of, denoiser_of])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(learn, mixture, tmp_path, stopping):
    whole = learn(mixture, tmp_path / "whole", lambda *_: None)

    with pytest.raises(KeyboardInterrupt):
        learn(mixture, tmp_path / "stopped", stopping)
    resumed = learn(mixture, tmp_path / "stopped", lambda *_: None)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    again = learn(mixture, tmp_path / "stopped", lambda *_: None)  # there is nothing left to do
    assert again.card.measured == resumed.card.measured


def test_the_command_learns_one_that_plans(episodes_folder, tmp_path, capsys):
    short = ["--steps", "2", "--batch", "4", "--threads", "1", "--out", str(tmp_path / "run")]
    assert main(["baseline", "video", "--data", f"sim:{episodes_folder}", *short]) == 0
    assert "imagined" in capsys.readouterr().out
    assert (tmp_path / "run-tokeniser" / "checkpoints" / "last").exists()
    agent = load_agent("mpc", str(tmp_path / "run"), planner="latent")
    assert agent.model.card.predictor == DenoiserConfig()
