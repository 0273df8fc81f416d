"""Stage one: a video encoder trained by mask-denoising in latent space (arXiv 2506.09985, section 2)."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import ENCODER_BEGUN_WITH, ModelCard, joined
from vjepa_sim.data.clips import Clips
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder import Encoder, EncoderConfig, normalize_tokens
from vjepa_sim.models.heads import object_target, reading_error, state_target
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.fit import Evaluation, MovingAverage, fit
from vjepa_sim.training.presets import PRESETS, PretrainConfig
from vjepa_sim.training.pretrain_batch import Batch, draw_batch
from vjepa_sim.training.probe import feature_rank, probe_error
from vjepa_sim.training.run import RUN_FILE, Report, Run
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel, required

PROBE_FRAMES = 4000
PROBE_VALUES = PROBE_FRAMES * 64 * 128  # largest number of feature values; larger models are probed on fewer frames
PROBE_EVERY = 500
DECODERS = ("state_decoder", "object_decoder", "pixel_decoder")


class StageOne(nn.Module):
    """The networks that stage one trains, and their losses.

    Attributes:
        online: Encoder in training.
        target: Moving average of the online encoder; the encoder of the resulting model.
        predictor: Mask-denoising predictor of the model.
        state_decoder, object_decoder, pixel_decoder: Decoders of the model, or None.
    """

    def __init__(self, model: WorldModel, online: Encoder, config: PretrainConfig, compute: Compute):
        super().__init__()
        self.online = online
        self.target = model.encoder.requires_grad_(False)
        self.predictor = required(model.mask_predictor, "mask predictor")
        self.state_decoder, self.object_decoder = model.state_decoder, model.object_decoder
        self.pixel_decoder = model.pixel_decoder
        for spare in list(self.predictor.mask_tokens)[len(config.phases) :]:  # released models have one per clip length
            spare.requires_grad_(False)
        self._config, self._compute = config, compute

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Losses of a batch by name; ``loss`` is their weighted sum."""
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
            if self.pixel_decoder is not None:
                losses["pixel"] = (self.pixel_decoder(z) - batch.stills).square().mean()
            if self.state_decoder is not None:
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
    *,
    seed: int,
    report: Report,
    compute: Compute | None = None,
    start: str | None = None,
    max_aspect: float = 1.0,
) -> WorldModel:
    """Train an encoder, or resume the run in ``out``.

    The encoder of the resulting model is the moving average (V-JEPA 2's target encoder).

    Args:
        mixture: Training data.
        out: Folder of the run.
        preset_name: Preset of the network sizes.
        config: Schedule and loss weights.
        seed: Random seed of the initial weights and of all draws.
        report: Called with (step, steps, scalars).
        compute: This process's part of the work; a single process on the CPU by default.
        start: Checkpoint to start from instead of random weights, such as a released one. Its encoder is used, and its
            mask predictor and decoders where both models have them.
        max_aspect: Largest aspect ratio of the crop, see :class:`.ImageTransform`.

    Raises:
        UserError: The preset has no stage one, the data don't fit the configuration, ``start`` has other sizes, or
            ``out`` holds a run with other settings.
    """
    compute = compute or Compute()
    preset = PRESETS[preset_name]
    if not isinstance(preset.encoder, EncoderConfig):
        raise UserError(f"Preset {preset_name!r} has no stage one: its encoder is already trained.")
    encoder = preset.encoder
    rows = compute.rows(config.batch)
    for clips in mixture.episodes:
        _check_clips(clips, config)
    torch.manual_seed(seed)
    card = ModelCard(
        name=out.name,
        encoder=encoder,
        transform=ImageTransform(encoder.image_size, max_aspect),
        mask_predictor=preset.mask_predictor,
        decoders=config.decodes,
        object_decoder=config.object_weight > 0,
        data=mixture.records,
        training={"pretrain": {"preset": preset_name, "seed": seed, **asdict(config)}},
    )
    model, run = WorldModel(card), Run(out, "pretrain", config.steps, compute)
    if start is not None and run.is_new:
        _begin_with(model, start)
    online = Encoder(encoder)
    settings = {"stage": "pretrain", "preset": preset_name, "seed": seed, "start": start, "data": mixture.identity}
    settings |= {"period": mixture.period, "max_aspect": max_aspect}
    settings |= {"bfloat16": compute.bfloat16, **asdict(config)}
    with compute.claimed(out, RUN_FILE, settings):
        online.load_state_dict(model.encoder.state_dict())
        run.restore(model, online=online)
        objective = StageOne(model.to(compute.device), online.to(compute.device), config, compute)
        online.recompute = objective.predictor.recompute = compute.recompute
        for part in objective.children():
            compute.split(part)

        def evaluate() -> tuple[dict[str, float], np.ndarray | None]:
            scores, image = evaluate_encoder(model, mixture)
            model.with_card(measured=scores)
            return scores, image

        fit(
            run,
            objective,
            config,
            draw=lambda step: draw_batch(
                mixture, config, encoder=encoder, transform=card.transform, seed=seed, step=step, rows=rows
            ),
            tensors=lambda step, batch: (batch.to(compute.device),),
            evaluations=[Evaluation("probe", PROBE_EVERY, evaluate, image="reconstruction")],
            report=report,
            average=MovingAverage(objective.target, objective.online, config.ema),
        )
    return model.eval()


def _check_clips(clips: Clips, config: PretrainConfig) -> None:
    """Raise an error for episodes that are too short or images that are too small."""
    longest = max(phase.frames for phase in config.phases)
    clips.check_span(longest, max(config.strides))
    size = max(phase.image_size for phase in config.phases)
    shape = clips.footage.frame_shape
    if config.augmentation is None and shape is not None and min(shape) < size:
        raise UserError(
            f"The data's images are {shape} pixels; this preset needs at least {size}. Collect with `--size {size}`."
        )


def _begin_with(model: WorldModel, start: str) -> None:
    """Copy another model's encoder, its mask predictor and decoders where both have them, and its provenance.

    Raises:
        UserError: The sizes differ; the error names both.
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
    # The decoders' sizes depend on the number of tokens.
    shared = DECODERS if theirs.encoder.tokens == ours.encoder.tokens else ()
    for name in ("mask_predictor", *shared):
        theirs_part, ours_part = getattr(other, name), getattr(model, name)
        if theirs_part is not None and ours_part is not None:
            ours_part.load_state_dict(theirs_part.state_dict())
    model.with_card(
        data=joined(theirs.data, ours.data),
        training={ENCODER_BEGUN_WITH: {"checkpoint": start, **theirs.training}, **ours.training},
        license=theirs.license,
    )


# --- losses and evaluation ------------------------------------------------------------------------------------


def _spread(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """VICReg's variance and covariance terms (arXiv 2105.04906); the variance is per position in the image.

    Args:
        z: Latents [B, N, D].
    """
    centered = z - z.mean(0)
    deviation = (centered.square().mean(0) + 1e-4).sqrt()  # [N, D]
    # Only half of a layer-normed feature's deviation is asked for: what is the same in all images has none.
    variance = (0.5 - deviation).clamp_min(0).mean()
    flat = z.flatten(0, 1)
    flat = flat - flat.mean(0)
    covariance = flat.T @ flat / len(flat)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return variance, off_diagonal.square().sum() / z.shape[-1]


@torch.no_grad()
def evaluate_encoder(model: WorldModel, mixture: Mixture) -> tuple[dict[str, float], np.ndarray | None]:
    """Probe the encoder: a small network is fitted to its latents and tested on other episodes.

    The encoder itself may have been trained on the test episodes.

    Returns:
        Effective rank of the latents and, for robot episodes, errors of decoded positions in centimetres; and, with a
        pixel decoder, an image uint8 [H, W, 3] of frames above their reconstructions.
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
    tested = torch.from_numpy(test)
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
    read = model.state_decoder(z[tested].to(model.device)).cpu()
    decoded = (read - state_target(states[tested])).abs().mean(0)
    scores |= {"decoded_hand_cm": float(decoded[:3].mean()) * 10, "decoded_closedness": float(decoded[3])}
    if model.object_decoder is not None:
        position = model.object_decoder(z[tested].to(model.device)).cpu()
        scores["decoded_object_cm"] = float((position - object_target(objects[tested])).abs().nanmean()) * 10
    shown = slice(0, 64, 8)
    reconstruction = model.decode(z[shown].to(model.device))
    if reconstruction is None:
        return scores, None
    back = model.card.transform.invert(reconstruction)
    original = model.card.transform.invert(model.card.transform(sample.frames[shown]))
    return scores, np.concatenate([np.concatenate(list(original), 1), np.concatenate(list(back), 1)])
