"""Stage one: a video encoder by mask-denoising in feature space (arXiv 2506.09985, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import ENCODER_BEGUN_WITH, ModelCard, joined
from vjepa_sim.data.clips import Clips
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.prefetch import Ahead
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder import Encoder, normalize_tokens
from vjepa_sim.models.heads import object_target, reading_error, state_target
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.presets import PretrainConfig, get_preset
from vjepa_sim.training.pretrain_batch import Batch, draw_batch
from vjepa_sim.training.probe import feature_rank, probe_error
from vjepa_sim.training.run import RUN_FILE, Run, follow, make_optimizer
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

PROBE_FRAMES = 4000
PROBE_VALUES = PROBE_FRAMES * 64 * 128  # numbers in their features; larger models are probed on fewer frames
PROBE_EVERY = 500
DECODERS = ("state_decoder", "object_decoder", "pixel_decoder")


class StageOne(nn.Module):
    """Everything that stage one trains, and its losses.

    Attributes:
        online: the encoder that learns.
        target: its moving average, the model's encoder, which is what is kept.
        predictor, state_decoder, object_decoder, pixel_decoder: the model's.
    """

    def __init__(self, model: WorldModel, online: Encoder, config: PretrainConfig, compute: Compute):
        super().__init__()
        self.online = online
        self.target = model.encoder.requires_grad_(False)
        self.predictor = model.mask_predictor
        self.state_decoder, self.object_decoder = model.state_decoder, model.object_decoder
        self.pixel_decoder = model.pixel_decoder
        for spare in list(self.predictor.mask_tokens)[len(config.phases) :]:  # released weights have more
            spare.requires_grad_(False)
        self._config, self._compute = config, compute

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """All terms of the objective for one batch; ``loss`` is their weighted sum."""
        config = self._config
        with torch.no_grad():
            target = normalize_tokens(self.target(batch.video))  # [B, N, D]
        denoising = []
        for seen, hidden in batch.masks:
            predicted = self.predictor(self.online(batch.video, seen), seen, hidden, batch.group, batch.grid)
            wanted = target.gather(1, hidden[..., None].expand(-1, -1, target.shape[-1]))
            denoising.append((predicted - wanted).abs().mean())
        losses = {"denoising": torch.stack(denoising).mean()}
        losses["loss"] = losses["denoising"]
        if config.decodes or config.variance_weight or config.covariance_weight:
            z = self.online.still(batch.stills)
            if config.decodes:
                losses["pixel"] = (self.pixel_decoder(z) - batch.stills).square().mean()
                losses["state"] = reading_error(self.state_decoder(z), state_target(batch.states))
            if self.object_decoder is not None:
                losses["object"] = reading_error(self.object_decoder(z), object_target(batch.objects))
            losses["variance"], losses["covariance"] = _spread(self._compute.gather(z))
            for name in ("pixel", "state", "object", "variance", "covariance"):
                if name in losses:
                    losses["loss"] = losses["loss"] + getattr(config, f"{name}_weight") * losses[name]
        return losses


def pretrain(
    mixture: Mixture,
    out: Path,
    preset_name: str,
    config: PretrainConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute | None = None,
    start: str | None = None,
    max_aspect: float = 1.0,
) -> WorldModel:
    """Train an encoder, or continue where ``out`` left off.

    The encoder that is kept is the moving average (V-JEPA 2's target encoder).

    Args:
        mixture: what to learn from.
        out: the run's folder.
        preset_name: sizes.
        config: schedule and weights.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        compute: this process's part; by default all of it, on the CPU.
        start: a checkpoint to begin with, such as a released one, instead of random weights: its encoder, and its mask
            predictor and decoders where it has them.
        max_aspect: of the crop, see :class:`ImageTransform`.
    """
    compute = compute or Compute()
    preset = get_preset(preset_name)
    rows = compute.rows(config.batch)
    for clips in mixture.episodes:
        _check_clips(clips, config)
    torch.manual_seed(seed)
    card = ModelCard(
        name=out.name,
        encoder=preset.encoder,
        transform=ImageTransform(preset.encoder.image_size, max_aspect),
        mask_predictor=preset.mask_predictor,
        decoders=config.decodes,
        object_decoder=config.object_weight > 0,
        data=mixture.records,
        training={"pretrain": {"preset": preset_name, "seed": seed, **asdict(config)}},
    )
    model, run = WorldModel(card), Run(out, "pretrain", config.steps, compute)
    if start is not None and run.is_new:
        _begin_with(model, start)
    online = Encoder(card.encoder)
    settings = {"stage": "pretrain", "preset": preset_name, "seed": seed, "start": start, "data": mixture.identity}
    settings |= {"period": mixture.period, "max_aspect": max_aspect}
    settings |= {"bfloat16": compute.bfloat16, **asdict(config)}
    with compute.claimed(out, RUN_FILE, settings):
        online.load_state_dict(model.encoder.state_dict())
        run.restore(model, online=online)
        if run.is_over(report):
            return model
        objective = StageOne(model.to(compute.device), online.to(compute.device), config, compute)
        online.recompute = model.mask_predictor.recompute = compute.recompute
        for part in objective.children():
            compute.split(part)
        run.attach(objective, make_optimizer(objective))
        losses_of = objective if compute.shard else compute.replicate(objective)
        drawn = Ahead(lambda step: draw_batch(mixture, config, preset.encoder, card.transform, seed, step, rows))
        for step in run.loop(report):
            batch = drawn.take(step, config.steps).to(compute.device)
            run.learn(config, losses_of, batch)
            follow(objective.target, objective.online, config.ema.at(step, config.steps))
            if run.is_due(PROBE_EVERY):
                scores, picture = evaluate_encoder(model, mixture)
                run.log({f"probe/{name}": value for name, value in scores.items()})
                run.show("pictures given back", picture)
                model.with_card(measured=scores)
    return model


def _check_clips(clips: Clips, config: PretrainConfig) -> None:
    """Refuse episodes that are too short or too small before a run has begun."""
    longest = max(phase.frames for phase in config.phases)
    clips.check_span(longest, max(config.strides))
    size = max(phase.image_size for phase in config.phases)
    if config.augmentation is None and min(clips.footage.frame_shape) < size:
        raise UserError(
            f"The data's images are {clips.footage.frame_shape} pixels; this preset needs at least {size}. "
            f"Collect with `--size {size}`."
        )


def _begin_with(model: WorldModel, start: str) -> None:
    """Take another checkpoint's encoder, of its mask predictor and decoders what both have, and what its card tells.

    Raises:
        UserError: it was built differently; both sides are named.
    """
    other = WorldModel.from_pretrained(start)
    ours, theirs = model.card, other.card
    pairs = [(replace(theirs.encoder, image_size=ours.encoder.image_size), ours.encoder)]
    if theirs.mask_predictor is not None:
        pairs.append((theirs.mask_predictor, ours.mask_predictor))
    for their_sizes, our_sizes in pairs:
        if their_sizes != our_sizes:
            raise UserError(
                f"Checkpoint {start} is a {their_sizes}; the preset is a {our_sizes}. Choose another preset."
            )
    model.encoder.load_state_dict(other.encoder.state_dict())
    # What is read off latents depends on how many there are.
    alike = DECODERS if theirs.encoder.tokens == ours.encoder.tokens else ()
    for name in ("mask_predictor", *alike):
        theirs_part, ours_part = getattr(other, name), getattr(model, name)
        if theirs_part is not None and ours_part is not None:
            ours_part.load_state_dict(theirs_part.state_dict())
    model.with_card(
        data=joined(theirs.data, ours.data),
        training={ENCODER_BEGUN_WITH: {"checkpoint": start, **theirs.training}, **ours.training},
        license=theirs.license,
    )


# --- losses and scores ----------------------------------------------------------------------------------------


def _spread(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """VICReg's variance and covariance terms (arXiv 2105.04906), for each place in the image on its own.

    Args:
        z: tokens [B, N, D].
    """
    centered = z - z.mean(0)
    deviation = (centered.square().mean(0) + 1e-4).sqrt()  # [N, D]
    # What lies still in every picture has no spread to ask for: 0.5 is half of a layer-normed feature's.
    variance = (0.5 - deviation).clamp_min(0).mean()
    flat = z.flatten(0, 1)
    flat = flat - flat.mean(0)
    covariance = flat.T @ flat / len(flat)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return variance, off_diagonal.square().sum() / z.shape[-1]


@torch.no_grad()
def evaluate_encoder(model: WorldModel, mixture: Mixture) -> tuple[dict[str, float], np.ndarray | None]:
    """Probe the encoder on frames it may have seen but with episodes held out from the probe's fit.

    Returns:
        The features' rank and, where there is an arm, errors in centimetres; and, where there is a decoder, a picture
        [H, W, 3] of frames above what was given back.
    """
    config = model.card.encoder
    frames = min(PROBE_FRAMES, PROBE_VALUES // (config.tokens * config.dim))
    if not mixture.episodes:
        drawn = mixture.draw([[0, row] for row in range(min(64, frames))], 1, 1)
        images = [model.card.transform.fit(torch.from_numpy(clip.frames)).to(model.device) for clip in drawn]
        return {"rank": feature_rank(torch.cat([model.encoder.still(image).cpu() for image in images]))}, None
    rng = np.random.default_rng(0)
    sample = mixture.episodes[0].sample(rng, frames)
    test = np.isin(sample.episodes, rng.permutation(np.unique(sample.episodes))[::4])
    parts = np.array_split(sample.frames, max(1, len(sample.frames) // 32))
    z = torch.cat([model.encode(part).float().cpu() for part in parts])
    states, objects = torch.from_numpy(sample.states), torch.from_numpy(sample.objects)
    names = [f"{thing}_{axis}_cm" for thing in ("object", "hand") for axis in "xyz"] + ["closedness"]
    targets = torch.cat([objects * 100, states[:, :3] * 100, states[:, 6:]], 1)
    errors = probe_error(z, targets, test)
    scores = {name: float(error) for name, error in zip(names, errors, strict=True) if np.isfinite(error)}
    scores["rank"] = feature_rank(z)
    if model.state_decoder is None:
        return scores, None
    read = model.state_decoder(z[test].to(model.device)).cpu()
    decoded = (read - state_target(states[test])).abs().mean(0)
    scores |= {"decoded_hand_cm": float(decoded[:3].mean()) * 10, "decoded_closedness": float(decoded[3])}
    shown = slice(0, 64, 8)
    if model.object_decoder is not None:
        place = model.object_decoder(z[test].to(model.device)).cpu()
        scores["decoded_object_cm"] = float((place - object_target(objects[test])).abs().nanmean()) * 10
    back = model.card.transform.invert(model.pixel_decoder(z[shown].to(model.device)))
    original = model.card.transform.invert(model.card.transform(sample.frames[shown]))
    return scores, np.concatenate([np.concatenate(list(original), 1), np.concatenate(list(back), 1)])
