"""A world model that generates pictures, Cosmos's way (arXiv 2501.03575) at a size for two cores: a tokeniser, and on
its frozen latents a diffusion transformer that makes the next picture's, given the action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vjepa_sim.baselines.denoiser import DenoiserConfig, denoising_loss
from vjepa_sim.baselines.tokeniser import TokeniserConfig
from vjepa_sim.card import ModelCard, joined
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.checks import check_positive
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.prefetch import Ahead
from vjepa_sim.models.heads import object_target, reading_error, state_target
from vjepa_sim.parts import make_predictor
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.feature_cache import Features, forget_features, open_features
from vjepa_sim.training.run import RUN_FILE, Run, make_optimizer
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.training.train_batch import stacked
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

LATENT_NOISE = 0.1  # that the decoder learns to overlook: latents that are near each other then look alike
LEARNING_RATE = Schedule(2e-5, 2e-3, 2e-5, warmup=100, shape="cosine")
WEIGHT_DECAY = constant(0.01)
EVALUATE_EVERY = 500
HELD_OUT_CLIPS, HELD_OUT_SEED = 64, 1


@dataclass(frozen=True)
class VideoConfig:
    """Both runs.

    Attributes:
        steps: of the denoiser's run; the tokeniser's has a third as many.
        batch: pairs of pictures per step of the denoiser's, over all processes, and pictures per step of the
            tokeniser's.
        learning_rate: AdamW's, of the denoiser; the tokeniser's is half of it.
        weight_decay, max_gradient_norm: AdamW's, in both.
    """

    steps: int = 12_000
    batch: int = 32
    learning_rate: Schedule = LEARNING_RATE
    weight_decay: Schedule = WEIGHT_DECAY
    max_gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "steps", "batch")

    @property
    def tokeniser_steps(self) -> int:
        """Length of the tokeniser's run."""
        return max(1, self.steps // 3)

    @property
    def tokeniser_rate(self) -> Schedule:
        """The tokeniser's learning rate."""
        return self.learning_rate.scaled(self.learning_rate.peak / 2)


# --- pictures to latents, and back --------------------------------------------------------------------------------


class Autoencoding(nn.Module):
    """What the tokeniser's run trains, and its loss."""

    def __init__(self, model: WorldModel):
        super().__init__()
        self.encoder, self.decoder = model.encoder, model.pixel_decoder

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> dict[str, torch.Tensor]:
        """Normalised pictures [B, 3, H, W], and noise on their latents [B, tokens, dim]."""
        back = self.decoder(self.encoder.still(images) + LATENT_NOISE * noise)
        return {"loss": (back - images).abs().mean()}


def learn_tokeniser(
    mixture: Mixture,
    out: Path,
    config: VideoConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute,
    sizes: TokeniserConfig | None = None,
) -> WorldModel:
    """Train the tokeniser, or continue where ``out`` left off.

    Args:
        mixture: of robot episodes.
        out: the run's folder.
        config: of the run.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        compute: this process's part.
        sizes: of the networks.
    """
    sizes, rows = sizes or TokeniserConfig(), compute.rows(config.batch)
    recipe = replace(config, learning_rate=config.tokeniser_rate)
    torch.manual_seed(seed)
    card = ModelCard(
        name=out.name,
        encoder=sizes,
        transform=ImageTransform(sizes.image_size),
        object_decoder=True,
        data=mixture.records,
        training={"tokeniser": {"seed": seed, **asdict(config)}},
    )
    model = WorldModel(card)
    settings = {"stage": "tokeniser", "seed": seed, "data": mixture.identity, "sizes": asdict(sizes)}
    settings |= {"bfloat16": compute.bfloat16, **asdict(config)}
    with compute.claimed(out, RUN_FILE, settings):
        run = Run(out, "tokeniser", config.tokeniser_steps, compute)
        run.restore(model)
        if run.is_over(report):
            return model.eval()
        objective = Autoencoding(model.to(compute.device))
        run.attach(objective, make_optimizer(objective))
        losses_of = compute.replicate(objective)
        drawn = Ahead(lambda step: _pictures(mixture, card.transform, [[seed, step, row] for row in rows]))
        for step in run.loop(report):
            images = drawn.take(step, config.tokeniser_steps).to(compute.device)
            noise = _noise((len(images), sizes.tokens, sizes.dim), [seed, step, rows.start, 1])
            model.train()
            run.learn(recipe, losses_of, images, noise.to(compute.device))
            if run.is_due(EVALUATE_EVERY):
                scores, picture = _measure_tokeniser(model.eval(), mixture)
                run.log({f"held_out/{name}": value for name, value in scores.items()})
                run.show("pictures given back", picture)
                model.with_card(measured=scores)
    return model.eval()


def _pictures(
    mixture: Mixture, transform: ImageTransform, seeds: list[list[int]], held_out: bool = False
) -> torch.Tensor:
    """Two normalised pictures for every two seeds [B, 3, H, W]."""
    clips = mixture.draw_motion(seeds[::2], 2, held_out, pictures=True)
    return torch.cat([transform(torch.from_numpy(clip.frames)) for clip in clips])[: len(seeds)]


@torch.no_grad()
def _measure_tokeniser(model: WorldModel, mixture: Mixture) -> tuple[dict[str, float], np.ndarray]:
    """Error of held-out pictures in grey levels of 255, and some of them above what is given back; uint8 [H, W, 3]."""
    transform, parts = model.card.transform, []
    images = _pictures(mixture, transform, [[HELD_OUT_SEED, row] for row in range(HELD_OUT_CLIPS)], held_out=True)
    for part in images.split(16):
        parts.append(model.pixel_decoder(model.encoder.still(part.to(model.device))).cpu())
    seen, back = transform.invert(images), transform.invert(torch.cat(parts))
    rows = [np.concatenate(list(pictures[:16:2]), 1) for pictures in (seen, back)]
    off = np.abs(seen.astype(np.float32) - back).mean()
    return {"picture_error": float(off)}, np.concatenate(rows)


# --- latents to the next latents ----------------------------------------------------------------------------------


class Generating(nn.Module):
    """What the denoiser's run trains, and its losses; decoders learn to read latents, and tell nobody."""

    def __init__(self, model: WorldModel):
        super().__init__()
        self.denoiser = model.predictor
        self.state_decoder, self.object_decoder = model.state_decoder, model.object_decoder

    def forward(
        self,
        z: torch.Tensor,
        states: torch.Tensor,
        objects: torch.Tensor,
        actions: torch.Tensor,
        noise: torch.Tensor,
        levels: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Pairs of pictures; see :func:`.denoising_loss`; states [B, 2, 7] and objects
        [B, 2, 3] of both.
        """
        losses = {"denoising": denoising_loss(self.denoiser, z, states[:, 0], actions, noise, levels)}
        losses["state"] = reading_error(self.state_decoder(z), state_target(states))
        losses["object"] = reading_error(self.object_decoder(z), object_target(objects))
        losses["loss"] = losses["denoising"] + losses["state"] + losses["object"]
        return losses


def learn_denoiser(
    mixture: Mixture,
    tokeniser: str,
    out: Path,
    config: VideoConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute,
    on_encoded: Callable[[int, int], None],
    sizes: DenoiserConfig | None = None,
) -> WorldModel:
    """Train the denoiser on a frozen tokeniser, or continue where ``out`` left off.

    Args:
        mixture: of robot episodes; its period becomes the model's.
        tokeniser: its checkpoint.
        out: the run's folder.
        config: of the run.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        compute: this process's part.
        on_encoded: called with the numbers of frames encoded and in all.
        sizes: of the network.
    """
    sizes, rows = sizes or DenoiserConfig(), compute.rows(config.batch)
    torch.manual_seed(seed)
    model = WorldModel.from_pretrained(tokeniser)
    training = {**model.card.training, "denoiser": {"seed": seed, **asdict(config)}}
    data = joined(model.card.data, mixture.records)
    model.with_card(name=out.name, predictor=sizes, period=mixture.period, data=data, training=training)
    model.predictor = make_predictor(sizes, model.card.encoder)
    for part in (model.encoder, model.pixel_decoder):
        part.requires_grad_(False)
    settings = {"stage": "denoiser", "seed": seed, "data": mixture.identity, "sizes": asdict(sizes)}
    settings |= {"tokeniser_crc32": fingerprint(tokeniser), "bfloat16": compute.bfloat16, **asdict(config)}
    with compute.claimed(out, RUN_FILE, settings):
        run = Run(out, "denoiser", config.steps, compute)
        run.restore(model)
        if run.is_over(report):
            forget_features(out, compute)
            return model.eval()
        objective = Generating(model.to(compute.device))
        run.attach(objective, make_optimizer(objective))
        losses_of = compute.replicate(objective)
        key = {name: settings[name] for name in ("tokeniser_crc32", "data")}
        features = open_features(model, mixture, out, key, compute, on_encoded)
        drawn = Ahead(
            lambda step: mixture.draw_motion([[seed, step, row] for row in rows], 2, pictures=not features.cached)
        )
        for step in run.loop(report):
            batch = _pairs(drawn.take(step, config.steps), features, [seed, step, rows.start, 1])
            run.learn(config, losses_of, *batch)
            if run.is_due(EVALUATE_EVERY):
                scores, picture = _measure_denoiser(objective, model, features, mixture)
                run.log({f"held_out/{name}": value for name, value in scores.items()})
                run.show("imagined", picture)
                model.with_card(measured={**model.card.measured, **scores})
        forget_features(out, compute)
    return model.eval()


def _pairs(clips: list, features: Features, seed: list[int]) -> tuple[torch.Tensor, ...]:
    """Latents, states, objects and actions of clips of two frames, and noise with its levels."""
    z = features.of(clips)
    states, objects, actions = (stacked(clips, name, z) for name in ("states", "objects", "actions"))
    # More often much noise than little: where little is left of the next picture, the action must be looked at.
    levels = np.sqrt(np.random.default_rng([*seed, 1]).uniform(size=len(clips)).astype(np.float32))
    noise = _noise(z[:, 0].shape, seed)
    return z, states, objects, actions[:, 0], noise.to(z.device), torch.from_numpy(levels).to(z.device)


def _noise(shape: tuple[int, ...], seed: list[int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


@torch.no_grad()
def _measure_denoiser(
    objective: Generating, model: WorldModel, features: Features, mixture: Mixture
) -> tuple[dict[str, float], np.ndarray]:
    """Losses on held-out episodes, errors of what is generated, and a picture: true next frames above them."""
    model.eval()
    seeds = [[HELD_OUT_SEED, row] for row in range(HELD_OUT_CLIPS)]
    clips = mixture.draw_motion(seeds, 2, held_out=True, pictures=True)
    z, states, objects, actions, noise, levels = _pairs(clips, features, [HELD_OUT_SEED])
    losses = objective(z, states, objects, actions, noise, levels)
    imagined = torch.cat(
        [
            model.rollout(present, state, action[None, None])[0]
            for present, state, action in zip(z[:, 0], states[:, 0], actions, strict=True)
        ]
    )
    scores = {name: float(value) for name, value in losses.items() if name != "loss"}
    scores["imagined"] = float((imagined - z[:, 1]).abs().mean())
    scores["copy"] = float((z[:, 0] - z[:, 1]).abs().mean())
    shown = slice(0, 8)
    rows = [model.card.transform.invert(model.pixel_decoder(each[shown])) for each in (z[:, 1], imagined)]
    return scores, np.concatenate([np.concatenate(list(row), 1) for row in rows])
