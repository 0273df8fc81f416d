"""A small video-generating world model after Cosmos (arXiv 2501.03575).

An image tokeniser is trained first. On its frozen latents, a diffusion transformer is trained to generate the latents
of the next image, given the action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import ModelCard, joined
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.checks import check_positive
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.models.denoiser import DenoiserConfig, denoising_loss
from vjepa_sim.models.heads import object_target, reading_error, state_target
from vjepa_sim.models.tokeniser import TokeniserConfig
from vjepa_sim.networks import make_predictor
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.feature_cache import Features, forget_features, open_features
from vjepa_sim.training.fit import Evaluation, fit
from vjepa_sim.training.run import RUN_FILE, Report, Run
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.training.train_batch import stacked
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel, required

LATENT_NOISE = 0.1  # deviation of the noise on latents in training, so that similar latents decode to similar images
LEARNING_RATE = Schedule(2e-5, 2e-3, 2e-5, warmup=100, shape="cosine")
WEIGHT_DECAY = constant(0.01)
EVALUATE_EVERY = 500
HELD_OUT_CLIPS, HELD_OUT_SEED = 64, 1


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Configuration of both trainings.

    Attributes:
        steps: Number of steps of the denoiser; the tokeniser has a third of it.
        batch: Pairs of images per step of the denoiser, and images per step of the tokeniser, over all processes.
        learning_rate: AdamW's learning rate of the denoiser; the tokeniser's is half of it.
        weight_decay, max_gradient_norm: AdamW's weight decay, and the norm to which larger gradients are scaled down.
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
        """Number of steps of the tokeniser."""
        return max(1, self.steps // 3)

    @property
    def tokeniser_rate(self) -> Schedule:
        """Learning rate of the tokeniser."""
        return self.learning_rate.scaled(self.learning_rate.peak / 2)


# --- tokeniser ----------------------------------------------------------------------------------------------------


class Autoencoding(nn.Module):
    """The tokeniser's encoder and decoder, and their loss.

    Attributes:
        encoder, decoder: Parts of the model.
    """

    def __init__(self, model: WorldModel):
        super().__init__()
        self.encoder, self.decoder = model.encoder, required(model.pixel_decoder, "pixel decoder")

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> dict[str, torch.Tensor]:
        """Reconstruction loss of normalised images [B, 3, H, W], given noise on their latents [B, tokens, dim]."""
        reconstruction = self.decoder(self.encoder.still(images) + LATENT_NOISE * noise)
        return {"loss": (reconstruction - images).abs().mean()}


def learn_tokeniser(
    mixture: Mixture,
    out: Path,
    config: VideoConfig,
    *,
    seed: int,
    report: Report,
    compute: Compute,
    sizes: TokeniserConfig | None = None,
) -> WorldModel:
    """Train the tokeniser, or resume the run in ``out``.

    Args:
        mixture: Training data, robot episodes only.
        out: Folder of the run.
        config: Configuration of both trainings.
        seed: Random seed of the initial weights and of all draws.
        report: Called with (step, steps, scalars).
        compute: This process's part of the work.
        sizes: Sizes of the networks.
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
        objective = Autoencoding(model.to(compute.device))

        def tensors(step: int, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            noise = _noise((len(images), sizes.tokens, sizes.dim), [seed, step, rows.start, 1])
            return images.to(compute.device), noise.to(compute.device)

        def evaluate() -> tuple[dict[str, float], np.ndarray]:
            scores, image = _measure_tokeniser(objective, model, mixture)
            model.with_card(measured=scores)
            return scores, image

        fit(
            run,
            objective,
            recipe,
            draw=lambda step: _images(mixture, card.transform, [[seed, step, row] for row in rows]),
            tensors=tensors,
            evaluations=[Evaluation("held_out", EVALUATE_EVERY, evaluate, image="reconstruction")],
            report=report,
        )
    return model.eval()


def _images(
    mixture: Mixture, transform: ImageTransform, seeds: list[list[int]], held_out: bool = False
) -> torch.Tensor:
    """Normalised images [B, 3, H, W], one for each of B seeds; each second seed draws two neighbouring frames."""
    clips = mixture.draw_motion(seeds[::2], 2, held_out=held_out, images=True)
    return torch.cat([transform(torch.from_numpy(clip.frames)) for clip in clips])[: len(seeds)]


@torch.no_grad()
def _measure_tokeniser(
    objective: Autoencoding, model: WorldModel, mixture: Mixture
) -> tuple[dict[str, float], np.ndarray]:
    """Mean error of held-out images in grey levels of 255, and an image uint8 [H, W, 3] of reconstructions."""
    transform, parts = model.card.transform, []
    images = _images(mixture, transform, [[HELD_OUT_SEED, row] for row in range(HELD_OUT_CLIPS)], held_out=True)
    for part in images.split(16):
        parts.append(objective.decoder(objective.encoder.still(part.to(model.device))).cpu())
    original, reconstruction = transform.invert(images), transform.invert(torch.cat(parts))
    rows = [np.concatenate(list(each[:16:2]), 1) for each in (original, reconstruction)]
    error = np.abs(original.astype(np.float32) - reconstruction).mean()
    return {"picture_error": float(error)}, np.concatenate(rows)


# --- denoiser -----------------------------------------------------------------------------------------------------


class Generating(nn.Module):
    """The denoiser and the decoders of positions, and their losses. The decoders don't influence the denoiser.

    Attributes:
        denoiser: Predictor of the model.
        state_decoder, object_decoder: Decoders of the model.
    """

    def __init__(self, model: WorldModel):
        super().__init__()
        self.denoiser = required(model.predictor, "predictor")
        self.state_decoder = required(model.state_decoder, "state decoder")
        self.object_decoder = required(model.object_decoder, "object decoder")

    def forward(
        self,
        z: torch.Tensor,
        states: torch.Tensor,
        objects: torch.Tensor,
        actions: torch.Tensor,
        noise: torch.Tensor,
        levels: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Losses of a batch of pairs of consecutive images.

        Args:
            z: Latents of both images [B, 2, tokens, channels].
            states, objects: States of the arm [B, 2, 7] and positions of the object [B, 2, 3], metres.
            actions: Actions from the first to the second image [B, 7].
            noise, levels: Noise [B, tokens, channels] and its shares [B], see :func:`.denoising_loss`.
        """
        losses = {
            "denoising": denoising_loss(
                self.denoiser, z=z, states=states[:, 0], actions=actions, noise=noise, levels=levels
            )
        }
        losses["state"] = reading_error(self.state_decoder(z), state_target(states))
        losses["object"] = reading_error(self.object_decoder(z), object_target(objects))
        losses["loss"] = losses["denoising"] + losses["state"] + losses["object"]
        return losses


def learn_denoiser(
    mixture: Mixture,
    tokeniser: str,
    out: Path,
    config: VideoConfig,
    *,
    seed: int,
    report: Report,
    compute: Compute,
    on_encoded: Callable[[int, int], None],
    sizes: DenoiserConfig | None = None,
) -> WorldModel:
    """Train the denoiser on a frozen tokeniser, or resume the run in ``out``.

    Args:
        mixture: Training data, robot episodes only; their period becomes the model's.
        tokeniser: Checkpoint of the tokeniser.
        out: Folder of the run.
        config: Configuration of both trainings.
        seed: Random seed of the initial weights and of all draws.
        report: Called with (step, steps, scalars).
        compute: This process's part of the work.
        on_encoded: Called with the number of frames encoded so far and in all.
        sizes: Sizes of the denoiser.
    """
    sizes, rows = sizes or DenoiserConfig(), compute.rows(config.batch)
    torch.manual_seed(seed)
    model = WorldModel.from_pretrained(tokeniser)
    training = {**model.card.training, "denoiser": {"seed": seed, **asdict(config)}}
    data = joined(model.card.data, mixture.records)
    model.with_card(name=out.name, predictor=sizes, period=mixture.period, data=data, training=training)
    model.predictor = make_predictor(sizes, model.card.encoder)
    for part in (model.encoder, required(model.pixel_decoder, "pixel decoder")):
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
        key = {name: settings[name] for name in ("tokeniser_crc32", "data")}
        features = open_features(model, mixture, out, key=key, compute=compute, on_encoded=on_encoded)

        def draw(step: int) -> list[RobotClip]:
            return mixture.draw_motion([[seed, step, row] for row in rows], 2, images=not features.cached)

        def evaluate() -> tuple[dict[str, float], np.ndarray]:
            scores, image = _measure_denoiser(objective, model, features, mixture)
            model.with_card(measured={**model.card.measured, **scores})
            return scores, image

        fit(
            run,
            objective,
            config,
            draw=draw,
            tensors=lambda step, clips: _pairs(clips, features, [seed, step, rows.start, 1]),
            evaluations=[Evaluation("held_out", EVALUATE_EVERY, evaluate, image="imagined")],
            report=report,
        )
        forget_features(out, compute)
    return model.eval()


def _pairs(clips: list[RobotClip], features: Features, seed: list[int]) -> tuple[torch.Tensor, ...]:
    """Arguments of :meth:`Generating.forward` for clips of two frames."""
    z = features.of(clips)
    states, objects, actions = (stacked(clips, name, z) for name in ("states", "objects", "actions"))
    # High noise levels are drawn more often: there, the denoiser must use the action.
    levels = np.sqrt(np.random.default_rng([*seed, 1]).uniform(size=len(clips)).astype(np.float32))
    noise = _noise(z[:, 0].shape, seed)
    return z, states, objects, actions[:, 0], noise.to(z.device), torch.from_numpy(levels).to(z.device)


def _noise(shape: tuple[int, ...], seed: list[int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


@torch.no_grad()
def _measure_denoiser(
    objective: Generating, model: WorldModel, features: Features, mixture: Mixture
) -> tuple[dict[str, float], np.ndarray]:
    """Evaluate losses and generated latents on held-out episodes.

    Returns:
        Losses and errors by name, and an image uint8 [H, W, 3] of frames above the generated ones.
    """
    decoder = required(model.pixel_decoder, "pixel decoder")
    seeds = [[HELD_OUT_SEED, row] for row in range(HELD_OUT_CLIPS)]
    clips = mixture.draw_motion(seeds, 2, held_out=True, images=True)
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
    rows = [model.card.transform.invert(decoder(each[shown])) for each in (z[:, 1], imagined)]
    return scores, np.concatenate([np.concatenate(list(row), 1) for row in rows])
