"""Stage two: the action-conditioned predictor on the frozen encoder (arXiv 2506.09985, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import BEGUN_WITH, ENCODER_BEGUN_WITH, ModelCard, joined
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.prefetch import Ahead
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.goal_policy import GoalPolicy, imitation_loss
from vjepa_sim.models.heads import object_target, reading_error, state_target, unshifted, view_shift
from vjepa_sim.parts import make_predictor
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.feature_cache import Features, forget_features, open_features
from vjepa_sim.training.presets import TrainConfig, get_preset
from vjepa_sim.training.run import RUN_FILE, Run, make_optimizer
from vjepa_sim.training.train_batch import GoalPairs, MotionBatch, draw_motion
from vjepa_sim.world_model import WorldModel

EVALUATE_EVERY = 250
HELD_OUT_CLIPS, HELD_OUT_SEED = 128, 1
OF_ENCODERS = ("released", "features", ENCODER_BEGUN_WITH)  # what a card's training tells of an encoder besides runs


class StageTwo(nn.Module):
    """What stage two trains, and its losses: the predictor and, if there are any, the decoders and the goal policy."""

    def __init__(self, model: WorldModel, config: TrainConfig):
        super().__init__()
        self.predictor, self.goal_policy = model.predictor, model.goal_policy
        self.state_decoder, self.object_decoder = model.state_decoder, model.object_decoder
        self._config, self._read = config, model.read

    def forward(self, batch: MotionBatch) -> dict[str, torch.Tensor]:
        """Teacher forcing over clips, a rollout from their first frames, reading, and cloning.

        Returns:
            ``loss``, its terms, and ``copy``: the error of predicting that nothing changes.
        """
        z, learning = batch.z, torch.is_grad_enabled()
        frozen = learning and self._config.heads_only
        with torch.set_grad_enabled(learning and not frozen):
            predicted = self.predictor(z[:, :-1], batch.actions, batch.states[:, :-1])  # frame t holds what follows it
            losses = {"teacher_forcing": self._error(predicted, z[:, 1:])}
        losses["loss"] = z.new_zeros(()) if frozen else losses["teacher_forcing"]
        if self._config.rollout and not frozen:
            losses["rollout"] = self._rollout_loss(batch, predicted)
            losses["loss"] = losses["loss"] + losses["rollout"]
        seen_and_imagined = torch.cat([z, predicted if self._config.reading_guides else predicted.detach()], 1)
        if self.state_decoder is not None:
            wanted = state_target(torch.cat([batch.states, batch.states[:, 1:]], 1))
            losses["state"] = reading_error(self.state_decoder(seen_and_imagined), wanted)
            losses["loss"] = losses["loss"] + self._config.state_weight * losses["state"]
        if self.object_decoder is not None:
            wanted = object_target(torch.cat([batch.objects, batch.objects[:, 1:]], 1))
            losses["object"] = reading_error(self.object_decoder(seen_and_imagined), wanted)
            losses["loss"] = losses["loss"] + self._config.object_weight * losses["object"]
        if batch.pairs is not None:
            losses |= self._cloning_losses(batch.pairs)
            losses["loss"] = losses["loss"] + self._config.policy_weight * losses["policy"]
        with torch.no_grad():
            losses["copy"] = self._error(z[:, :-1], z[:, 1:])
        return losses

    def _error(self, predicted: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        off = predicted - seen
        return off.square().mean() if self._config.squared else off.abs().mean()

    def _cloning_losses(self, pairs: GoalPairs) -> dict[str, torch.Tensor]:
        read = self._read(pairs.z)  # without a gradient: the decoders serve the truth alone
        shift = view_shift(read[:, :1, :3] - state_target(pairs.states)[:, None, :3])  # as an agent would see it
        read, goal_read = (unshifted(read, shift) + pairs.noise[..., : read.shape[-1]]).unbind(1)
        z, goal = pairs.z.unbind(1)
        intent = self.goal_policy(z, read, pairs.states, goal, goal_read)
        return imitation_loss(intent, pairs.states, pairs.commands, pairs.steps)

    def _rollout_loss(self, batch: MotionBatch, predicted: torch.Tensor) -> torch.Tensor:
        """From the first frame on, each step sees the predictions before it and the true states (as in the paper)."""
        z, actions, states = batch.z, batch.actions, batch.states
        # The first prediction of a rollout is teacher forcing's own.
        second = predicted[:, 1:2] if self._config.first_release_rollout else predicted[:, :1]
        context = torch.cat([z[:, :1], second], 1)
        for t in range(1, self._config.rollout):
            following = self.predictor(context, actions[:, : t + 1], states[:, : t + 1])[:, -1:]
            context = torch.cat([context, following], 1)
        return self._error(context[:, 1:], z[:, 1 : self._config.rollout + 1])


class PlanTrial(Protocol):
    """Tries the planner with a model in training; made by those who know planners.

    Attributes:
        every: so many steps.
    """

    every: int

    def check(self, model: WorldModel) -> None:
        """Raise a :class:`UserError` now for whatever would stop a trial later."""

    def success(self, model: WorldModel) -> dict[str, float]:
        """Share of episodes solved, by name."""


def train(
    mixture: Mixture,
    encoder: str,
    out: Path,
    preset_name: str,
    config: TrainConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
    compute: Compute | None = None,
    plan: PlanTrial | None = None,
    start: str | None = None,
) -> WorldModel:
    """Train the predictor, or continue where ``out`` left off.

    Args:
        mixture: what to learn from, robot episodes only; its period becomes the model's.
        encoder: checkpoint of stage one: a name, a folder, or a released file.
        out: the run's folder.
        preset_name: sizes of the predictor.
        config: schedule.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        on_encoded: called with the numbers of frames encoded and in all.
        compute: this process's part; by default all of it, on the CPU.
        plan: tries the planner on the way; the losses are a weak proxy for its success.
        start: a whole model whose predictor and goal policy to begin with, instead of random weights.
    """
    compute = compute or Compute()
    rows = compute.rows(config.batch)
    if config.heads_only and start is None:
        raise UserError("Heads alone are trained on a whole model's predictor: give it as --start.")
    for clips in mixture.episodes:
        clips.check_span(config.frames)
    torch.manual_seed(seed)
    # The loaded model's parts are used as they are: no weight of a large encoder lies in memory twice.
    model = WorldModel.from_pretrained(encoder)
    encoder_scores = {name: value for name, value in model.card.measured.items() if isinstance(value, float)}
    if config.heads_only and not model.card.decoders:
        raise UserError(f"Checkpoint {encoder} has no decoders and no goal policy: it has no heads to train.")
    model.card = _card(model.card, mixture, out.name, preset_name, seed, config)
    if start is None and model.card.goal_policy is not None and not mixture.tells_commands():
        model.with_card(goal_policy=None)  # there is nothing to clone
    _grow(model, f"Preset {preset_name!r} doesn't fit the encoder {encoder}")
    run = Run(out, "train", config.steps, compute)
    if start is not None and run.is_new:
        _begin_with(model, start, config.heads_only)
    policy = model.card.goal_policy
    for part in (model.encoder, model.pixel_decoder, model.predictor if config.heads_only else None):
        if part is not None:
            part.requires_grad_(False)
    settings = {"stage": "train", "preset": preset_name, "seed": seed, "encoder": str(Path(encoder)), "start": start}
    settings |= {"encoder_crc32": fingerprint(encoder), "start_crc32": None if start is None else fingerprint(start)}
    settings |= {"data": mixture.identity}
    settings |= {"bfloat16": compute.bfloat16, **asdict(config)}
    # In runs from before there was a choice.
    assumed = {"heads_only": False, "squared": False, "reading_guides": True}
    with compute.claimed(out, RUN_FILE, settings, assumed):
        run.restore(model)
        if run.is_over(report):
            forget_features(out, compute)
            return model
        if plan is not None:
            plan.check(model)
        model.to(compute.device)
        model.predictor.recompute = compute.recompute
        compute.split(model.encoder)
        objective = StageTwo(model, config)
        run.attach(objective, make_optimizer(objective))
        losses_of = compute.replicate(objective)
        key = {name: settings[name] for name in ("encoder_crc32", "data")}
        features = open_features(model, mixture, out, key, compute, on_encoded)
        drawn = Ahead(
            lambda step: draw_motion(
                mixture, config, policy, [[seed, step, row] for row in rows], pictures=not features.cached
            )
        )
        for step in run.loop(report):
            batch = drawn.take(step, config.steps).batch(features)
            run.learn(config, losses_of, batch)
            if run.is_due(EVALUATE_EVERY):
                scores, picture = evaluate_predictor(objective, model, features, mixture, config, compute)
                run.log({f"held_out/{name}": value for name, value in scores.items()})
                run.show("imagined", picture)
                model.with_card(measured={**encoder_scores, **scores})
            # A sharded encoder works only when all processes call it.
            if plan is not None and (step + 1) % plan.every == 0 and (compute.is_main or compute.shard):
                run.log({f"planning/{name}": value for name, value in plan.success(model).items()})
        forget_features(out, compute)
    return model


def _card(start: ModelCard, mixture: Mixture, name: str, preset_name: str, seed: int, config: TrainConfig) -> ModelCard:
    preset = get_preset(preset_name)
    policy = start.goal_policy if config.heads_only else preset.goal_policy
    # What else a card tells is of that model as a whole.
    earlier = {k: v for k, v in start.training.items() if k in OF_ENCODERS or (isinstance(v, dict) and "seed" in v)}
    return replace(
        start,
        name=name,
        predictor=preset.ac_predictor,
        goal_policy=policy if start.decoders else None,
        mask_predictor=None,
        period=mixture.period,
        data=joined(start.data, mixture.records),
        training={**earlier, "train": {"preset": preset_name, "seed": seed, **asdict(config)}},
    )


def _grow(model: WorldModel, misfit: str) -> None:
    """Give a model the parts that its card promises for stage two, untrained."""
    card = model.card
    model.mask_predictor = None
    try:
        model.predictor = make_predictor(card.predictor, card.encoder)
    except UserError as error:
        raise UserError(f"{misfit}: {error}") from error
    model.goal_policy = GoalPolicy(card.goal_policy, card.encoder, card.object_decoder) if card.goal_policy else None


def _begin_with(model: WorldModel, start: str, same_encoder: bool) -> None:
    """Take another whole model's predictor and goal policy, and what its card tells.

    Args:
        model: that takes them.
        start: the other's checkpoint.
        same_encoder: whether the predictor will stay as it is, and so must know this encoder's latents.

    Raises:
        UserError: it is no whole model, or was built or trained differently; both sides are named.
    """
    other = WorldModel.from_pretrained(start)
    ours, theirs = model.card, other.card
    if other.predictor is None:
        raise UserError(f"Checkpoint {start} is no whole model to begin with: it has only an encoder.")
    if abs(theirs.period - ours.period) > 0.01 * ours.period:
        raise UserError(
            f"Checkpoint {start} was trained for steps of {theirs.period} s; these data's are {ours.period} s."
        )
    pairs = zip(model.encoder.parameters(), other.encoder.parameters(), strict=False)
    if same_encoder and not (ours.encoder == theirs.encoder and all(torch.equal(a, b) for a, b in pairs)):
        raise UserError(
            f"The predictor of {start} stays as it is and knows its own encoder only: give {start} as --encoder."
        )
    for name in ("predictor", "goal_policy"):
        our_sizes, their_sizes = getattr(ours, name), getattr(theirs, name)
        if their_sizes != our_sizes:
            raise UserError(
                f"Checkpoint {start} has as its {name} {their_sizes}; the preset has {our_sizes}. Choose another "
                "--preset."
            )
        if our_sizes is not None:
            getattr(model, name).load_state_dict(getattr(other, name).state_dict())
    model.with_card(
        data=joined(theirs.data, ours.data),
        training={**ours.training, BEGUN_WITH: {"checkpoint": start, **theirs.training}},
        license=theirs.license,
    )


@torch.no_grad()
def evaluate_predictor(
    objective: StageTwo, model: WorldModel, features: Features, mixture: Mixture, config: TrainConfig, compute: Compute
) -> tuple[dict[str, float], np.ndarray | None]:
    """Losses on held-out episodes and, where there is a decoder, a picture: true frames above the imagined ones."""
    policy = model.card.goal_policy
    size = max(1, config.batch // compute.ranks)  # what a training step has memory for
    count = min(HELD_OUT_CLIPS, 4 * size)
    sums: dict[str, float] = {}
    for first in range(0, count, size):
        seeds = [[HELD_OUT_SEED, row] for row in range(first, min(first + size, count))]
        drawn = draw_motion(mixture, config, policy, seeds, pictures=not features.cached, held_out=True)
        with compute.autocast():
            losses = objective(drawn.batch(features))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(seeds)
    scores = {name: value / count for name, value in sums.items()}
    if model.pixel_decoder is None:
        return scores, None
    rows = []
    for clip in mixture.draw_motion([[HELD_OUT_SEED, row] for row in range(4)], config.frames, True, pictures=True):
        z = features.of([clip])
        imagined = model.rollout(z[0, 0], clip.states[0], clip.actions[None])[0]
        seen = model.card.transform.invert(model.card.transform(clip.frames))
        drawn = model.card.transform.invert(model.pixel_decoder(torch.cat([z[0, :1], imagined])))
        rows.append(np.concatenate([np.concatenate(list(seen), 1), np.concatenate(list(drawn), 1)]))
    return scores, np.concatenate(rows)
