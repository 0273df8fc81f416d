"""Stage two: the action-conditioned predictor on the frozen encoder (arXiv 2506.09985, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from data.clips import Clips
from data.output import claimed
from envs.errors import UserError
from vjepa_sim.heads import state_target
from vjepa_sim.presets import TrainConfig, get_preset
from vjepa_sim.run import LOG_EVERY, RUN_FILE, Run, make_optimizer
from vjepa_sim.world_model import WorldModel, find_checkpoint

EVALUATE_EVERY = 250
HELD_OUT_CLIPS = 128


def train(
    clips: Clips,
    encoder: str,
    out: Path,
    preset_name: str,
    config: TrainConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
) -> WorldModel:
    """Train the predictor, or continue where ``out`` left off.

    Args:
        clips: what to learn from; its period becomes the model's.
        encoder: checkpoint of stage one, a name or a folder.
        out: the run's folder.
        preset_name: sizes of the predictor.
        config: schedule.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        on_encoded: called with the numbers of frames encoded and in all.
    """
    torch.manual_seed(seed)
    start = WorldModel.from_pretrained(encoder)
    card = replace(
        start.card,
        name=out.name,
        predictor=get_preset(preset_name).ac_predictor,
        period=round(clips.period, 4),
        data=(*start.card.data, clips.record) if clips.record not in start.card.data else start.card.data,
        training={**start.card.training, "train": {"preset": preset_name, "seed": seed, **asdict(config)}},
    )
    try:
        model = WorldModel(card)
    except ValueError as error:
        raise UserError(
            f"Preset {preset_name!r} doesn't fit the encoder in {find_checkpoint(encoder)}: {error}"
        ) from error
    for part in ("encoder", "state_decoder", "pixel_decoder"):
        getattr(model, part).load_state_dict(getattr(start, part).state_dict())
    for frozen in (model.encoder, model.pixel_decoder):
        frozen.requires_grad_(False)
    trained = [model.predictor, model.state_decoder]
    optimizer = make_optimizer(trained, config.learning_rate, config.weight_decay)
    settings = {
        "stage": "train",
        "preset": preset_name,
        "seed": seed,
        "encoder": str(encoder),
        "data": clips.identity,
        **asdict(config),
    }
    with claimed(out, RUN_FILE, settings):
        run = Run(out, config.steps, model, optimizer)
        if run.step >= config.steps:
            return model
        features = encode_all(model, clips, on_encoded)
        for step in run.loop(report):
            rate = run.learning_rate(config.learning_rate, config.warmup)
            index = clips.draw(np.random.default_rng([seed, step]), config.batch, config.frames)
            losses = ac_losses(model, features, clips, index, config)
            run.check(losses["loss"])
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            torch.nn.utils.clip_grad_norm_([p for module in trained for p in module.parameters()], 1.0)
            optimizer.step()
            if step % LOG_EVERY == 0:
                run.log(
                    {f"train/{name}": float(value.detach()) for name, value in losses.items()}
                    | {"train/learning_rate": rate}
                )
            if (step + 1) % EVALUATE_EVERY == 0 or step + 1 == config.steps:
                scores, pictures = evaluate_predictor(model, features, clips, config)
                run.log({f"held_out/{name}": value for name, value in scores.items()})
                run.writer.add_image("imagined", pictures, step, dataformats="HWC")
                model.with_card(measured={**start.card.measured, **scores})
    return model


@torch.inference_mode()
def encode_all(model: WorldModel, clips: Clips, on_encoded: Callable[[int, int], None]) -> torch.Tensor:
    """Every frame's latent, once: float16 [F, tokens, dim]. The encoder is frozen, so this saves most of the work."""
    config = model.card.encoder
    features = torch.empty(len(clips), config.tokens, config.dim, dtype=torch.float16)
    for first in range(0, len(clips), 128):
        features[first : first + 128] = model.encode(clips.frames[first : first + 128]).half()
        on_encoded(min(first + 128, len(clips)), len(clips))
    return features


def ac_losses(
    model: WorldModel, features: torch.Tensor, clips: Clips, index: np.ndarray, config: TrainConfig
) -> dict[str, torch.Tensor]:
    """Teacher forcing over a clip, and a rollout from its first frame.

    Args:
        model: its predictor is trained.
        features: [F, tokens, dim].
        clips: where states come from.
        index: frames of the clips [B, T].
        config: how far the rollout looks ahead, and the weight of the state term.

    Returns:
        ``loss``, its terms, and ``copy``: the error of predicting that nothing changes.
    """
    z = features[torch.from_numpy(index)].float()  # [B, T, tokens, dim]
    actions = torch.from_numpy(clips.actions(index))  # [B, T - 1, 7]
    states = torch.from_numpy(clips.states[index])  # [B, T, 7]
    predicted = model.predictor(z[:, :-1], actions, states[:, :-1])
    teacher = (predicted - z[:, 1:]).abs().mean()

    # From the first frame on, each step sees the predictions before it and the true states (as the paper trains).
    context = torch.cat([z[:, :1], predicted[:, :1]], 1)
    steps = [(predicted[:, 0] - z[:, 1]).abs().mean()]
    for t in range(1, config.rollout):
        following = model.predictor(context, actions[:, : t + 1], states[:, : t + 1])[:, -1:]
        steps.append((following[:, 0] - z[:, t + 1]).abs().mean())
        context = torch.cat([context, following], 1)
    ahead = torch.stack(steps).mean()
    copy = (z[:, 1:] - z[:, :-1]).abs().mean()
    read = model.state_decoder(torch.cat([z, predicted], 1))
    wanted = state_target(torch.cat([states, states[:, 1:]], 1))
    state = torch.nn.functional.smooth_l1_loss(read, wanted, beta=0.3)
    loss = teacher + ahead + config.state_weight * state
    return {"loss": loss, "teacher_forcing": teacher, "rollout": ahead, "state": state, "copy": copy}


@torch.inference_mode()
def evaluate_predictor(
    model: WorldModel, features: torch.Tensor, clips: Clips, config: TrainConfig
) -> tuple[dict[str, float], np.ndarray]:
    """Losses on held-out episodes, and a picture: true frames above the imagined ones."""
    index = clips.draw(np.random.default_rng(1), HELD_OUT_CLIPS, config.frames, held_out=True)
    scores = {name: float(value) for name, value in ac_losses(model, features, clips, index, config).items()}
    rows = []
    for clip in index[:4]:
        actions = torch.from_numpy(clips.actions(clip[None]))
        imagined = model.rollout(features[clip[0]].float(), torch.from_numpy(clips.states[clip[0]]), actions)[0]
        seen = model.card.transform.invert(model.card.transform(clips.frames[clip]))
        drawn = model.card.transform.invert(model.pixel_decoder(torch.cat([features[clip[:1]].float(), imagined])))
        rows.append(np.concatenate([np.concatenate(list(seen), 1), np.concatenate(list(drawn), 1)]))
    return scores, np.concatenate(rows)
