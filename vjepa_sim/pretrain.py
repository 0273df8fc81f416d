"""Stage one: a video encoder by mask-denoising in feature space (arXiv 2506.09985, section 2)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from einops import rearrange, repeat

from data.clips import Clips
from data.output import claimed
from envs.errors import UserError
from vjepa_sim.card import ModelCard
from vjepa_sim.encoder import Encoder, encode_still, normalize_tokens
from vjepa_sim.heads import state_target
from vjepa_sim.masks import sample_masks
from vjepa_sim.predictor import Predictor
from vjepa_sim.presets import PretrainConfig, get_preset
from vjepa_sim.probe import feature_rank, probe_error
from vjepa_sim.run import LOG_EVERY, RUN_FILE, Run, make_optimizer
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

PROBE_FRAMES = 4000
PROBE_EVERY = 500


def pretrain(
    clips: Clips,
    out: Path,
    preset_name: str,
    config: PretrainConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
) -> WorldModel:
    """Train an encoder, or continue where ``out`` left off.

    The encoder that is kept is the moving average (V-JEPA 2's target encoder).

    Args:
        clips: what to learn from.
        out: the run's folder.
        preset_name: sizes.
        config: schedule and weights.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
    """
    preset = get_preset(preset_name)
    if min(clips.frames.shape[1:3]) < preset.encoder.image_size:
        raise UserError(
            f"The data's images are {clips.frames.shape[1:3]} pixels; preset {preset_name!r} needs at least "
            f"{preset.encoder.image_size}. Collect with `--size {preset.encoder.image_size}`."
        )
    torch.manual_seed(seed)
    card = ModelCard(
        name=out.name,
        encoder=preset.encoder,
        transform=ImageTransform(preset.encoder.image_size),
        data=(clips.record,),
        training={"pretrain": {"preset": preset_name, "seed": seed, **asdict(config)}},
    )
    model = WorldModel(card)  # holds the target encoder and the decoders
    online = copy.deepcopy(model.encoder)
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    predictor = Predictor(preset.mask_predictor, preset.encoder)
    trained = [online, predictor, model.state_decoder, model.pixel_decoder]
    optimizer = make_optimizer(trained, config.learning_rate, config.weight_decay)
    settings = {"stage": "pretrain", "preset": preset_name, "seed": seed, "data": clips.identity, **asdict(config)}
    with claimed(out, RUN_FILE, settings):
        run = Run(out, config.steps, model, optimizer, online=online, predictor=predictor)
        for step in run.loop(report):
            rate = run.learning_rate(config.learning_rate, config.warmup)
            rng = np.random.default_rng([seed, step])
            losses = _losses(clips, rng, config, model, online, predictor)
            run.check(losses["loss"])
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            torch.nn.utils.clip_grad_norm_([p for module in trained for p in module.parameters()], 1.0)
            optimizer.step()
            with torch.no_grad():
                for target, source in zip(model.encoder.parameters(), online.parameters(), strict=True):
                    target.lerp_(source, 1 - config.ema)
            if step % LOG_EVERY == 0:
                run.log(
                    {f"pretrain/{name}": float(value.detach()) for name, value in losses.items()}
                    | {"pretrain/learning_rate": rate}
                )
            if (step + 1) % PROBE_EVERY == 0 or step + 1 == config.steps:
                scores, pictures = evaluate_encoder(model, clips)
                run.log({f"probe/{name}": value for name, value in scores.items()})
                run.writer.add_image("pictures given back", pictures, step, dataformats="HWC")
                model.with_card(measured=scores)
    return model


def _losses(
    clips: Clips,
    rng: np.random.Generator,
    config: PretrainConfig,
    model: WorldModel,
    online: Encoder,
    predictor: Predictor,
) -> dict[str, torch.Tensor]:
    """All terms of the objective for one batch; ``loss`` is their weighted sum."""
    index = clips.draw(rng, config.batch, config.moments, int(rng.choice(config.strides)))  # [B, M]
    images = model.card.transform(clips.frames[index.ravel()])  # [B M, 3, H, W]
    tubelet, grid = online.config.tubelet_size, online.config.grid
    # Each moment fills one tubelet: at 4 Hz two neighbouring frames are too far apart to share one.
    video = repeat(images, "(b m) c h w -> b c (m t) h w", m=config.moments, t=tubelet)

    with torch.no_grad():
        target = normalize_tokens(model.encoder(video))  # [B, N, D]
    denoising = []
    for kind, mask in enumerate(config.masks):
        seen, hidden = sample_masks(mask, config.batch, config.moments, grid, rng)
        predicted = predictor(online(video, seen), seen, hidden, kind)
        wanted = target.gather(1, hidden[..., None].expand(-1, -1, target.shape[-1]))
        denoising.append((predicted - wanted).abs().mean())
    losses = {"denoising": torch.stack(denoising).mean()}

    still = rearrange(images, "(b m) c h w -> b m c h w", m=config.moments)[:, 0]  # [B, 3, H, W]
    states = torch.from_numpy(clips.states[index[:, 0]])
    z = encode_still(online, still)
    losses["pixel"] = (model.pixel_decoder(z) - still).square().mean()
    losses["state"] = torch.nn.functional.smooth_l1_loss(model.state_decoder(z), state_target(states), beta=0.3)
    losses["variance"], losses["covariance"] = _spread(z)
    losses["loss"] = (
        losses["denoising"]
        + config.pixel_weight * losses["pixel"]
        + config.state_weight * losses["state"]
        + config.variance_weight * losses["variance"]
        + config.covariance_weight * losses["covariance"]
    )
    return losses


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


@torch.inference_mode()
def evaluate_encoder(model: WorldModel, clips: Clips) -> tuple[dict[str, float], np.ndarray]:
    """Probe the encoder on frames it may have seen but with episodes held out from the probe's fit.

    Returns:
        Errors in centimetres, the features' rank, and a picture [H, W, 3] of frames above what was given back.
    """
    rng = np.random.default_rng(0)
    index = np.sort(rng.choice(len(clips), min(PROBE_FRAMES, len(clips)), replace=False))
    episode = np.searchsorted(clips.starts, index, side="right") - 1
    test = np.isin(episode, rng.permutation(np.unique(episode))[::4])
    z = torch.cat([model.encode(clips.frames[part]) for part in np.array_split(index, max(1, len(index) // 64))])
    objects = torch.from_numpy(clips.object_positions[index])
    states = torch.from_numpy(clips.states[index])
    object_error = probe_error(z, objects, test) * 100
    hand_error = probe_error(z, states[:, :3], test) * 100
    grip_error = probe_error(z, states[:, 6:], test)
    decoded = (model.state_decoder(z)[test] - state_target(states[test])).abs().mean(0) * torch.tensor(
        [10.0, 10.0, 10.0, 1.0]
    )
    scores = {
        f"object_{axis}_cm": float(error) for axis, error in zip("xyz", object_error, strict=True) if np.isfinite(error)
    }
    scores |= {
        f"hand_{axis}_cm": float(error) for axis, error in zip("xyz", hand_error, strict=True) if np.isfinite(error)
    }
    if np.isfinite(grip_error).all():
        scores["closedness"] = float(grip_error[0])
    scores |= {
        "decoded_hand_cm": float(decoded[:3].mean()),
        "decoded_closedness": float(decoded[3]),
        "rank": feature_rank(z),
    }
    shown = slice(0, 64, 8)
    back = model.card.transform.invert(model.pixel_decoder(z[shown]))
    original = model.card.transform.invert(model.card.transform(clips.frames[index[shown]]))
    return scores, np.concatenate([np.concatenate(list(original), 1), np.concatenate(list(back), 1)])
