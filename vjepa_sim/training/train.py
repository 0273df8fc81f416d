"""Stage two: an action-conditioned predictor on a frozen encoder (arXiv 2506.09985, section 3)."""

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
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.goal_policy import GoalPolicy, imitation_loss
from vjepa_sim.models.heads import object_target, reading_error, state_target, unshifted, view_shift
from vjepa_sim.networks import make_predictor
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.feature_cache import Features, forget_features, open_features
from vjepa_sim.training.fit import Evaluation, fit
from vjepa_sim.training.presets import PRESETS, TrainConfig
from vjepa_sim.training.run import RUN_FILE, Report, Run
from vjepa_sim.training.train_batch import DrawnMotion, GoalPairs, MotionBatch, draw_motion
from vjepa_sim.world_model import WorldModel, required

EVALUATE_EVERY = 250
HELD_OUT_CLIPS, HELD_OUT_SEED = 128, 1
OF_ENCODERS = ("released", "features", ENCODER_BEGUN_WITH)  # provenance of an encoder on a card, besides runs


class StageTwo(nn.Module):
    """The networks that stage two trains, and their losses.

    Attributes:
        predictor: Action-conditioned predictor.
        state_decoder, object_decoder: Decoders of positions, or None.
        goal_policy: Policy toward goal images, or None.
    """

    def __init__(self, model: WorldModel, config: TrainConfig):
        super().__init__()
        self.predictor, self.goal_policy = required(model.predictor, "predictor"), model.goal_policy
        self.state_decoder, self.object_decoder = model.state_decoder, model.object_decoder
        self._config, self._read = config, model.read

    def forward(self, batch: MotionBatch) -> dict[str, torch.Tensor]:
        """Losses of teacher forcing over clips, of a rollout from their first frames, of decoding and of cloning.

        Returns:
            Losses by name: ``loss``, its terms, and ``copy``, the error of predicting that nothing changes.
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
        encoded_and_predicted = torch.cat([z, predicted if self._config.reading_guides else predicted.detach()], 1)
        if self.state_decoder is not None:
            wanted = state_target(torch.cat([batch.states, batch.states[:, 1:]], 1))
            losses["state"] = reading_error(self.state_decoder(encoded_and_predicted), wanted)
            losses["loss"] = losses["loss"] + self._config.state_weight * losses["state"]
        if self.object_decoder is not None:
            wanted = object_target(torch.cat([batch.objects, batch.objects[:, 1:]], 1))
            losses["object"] = reading_error(self.object_decoder(encoded_and_predicted), wanted)
            losses["loss"] = losses["loss"] + self._config.object_weight * losses["object"]
        if batch.pairs is not None and self.goal_policy is not None:
            losses |= self._cloning_losses(self.goal_policy, batch.pairs)
            losses["loss"] = losses["loss"] + self._config.policy_weight * losses["policy"]
        with torch.no_grad():
            losses["copy"] = self._error(z[:, :-1], z[:, 1:])
        return losses

    def _error(self, predicted: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        off = predicted - seen
        return off.square().mean() if self._config.squared else off.abs().mean()

    def _cloning_losses(self, goal_policy: GoalPolicy, pairs: GoalPairs) -> dict[str, torch.Tensor]:
        read = required(self._read(pairs.z), "state decoder")  # no gradient: cloning doesn't train the decoders
        shift = view_shift(read[:, :1, :3] - state_target(pairs.states)[:, None, :3])  # as an agent corrects it
        read, goal_read = (unshifted(read, shift) + pairs.noise[..., : read.shape[-1]]).unbind(1)
        z, goal = pairs.z.unbind(1)
        intent = goal_policy(z, read, pairs.states, goal, goal_read)
        return imitation_loss(intent, pairs.states, pairs.commands, pairs.steps)

    def _rollout_loss(self, batch: MotionBatch, predicted: torch.Tensor) -> torch.Tensor:
        """Rollout from the first frame: each step sees earlier predictions, and measured states (as in the paper)."""
        z, actions, states = batch.z, batch.actions, batch.states
        # A rollout's first prediction is that of teacher forcing.
        second = predicted[:, 1:2] if self._config.first_release_rollout else predicted[:, :1]
        context = torch.cat([z[:, :1], second], 1)
        for t in range(1, self._config.rollout):
            following = self.predictor(context, actions[:, : t + 1], states[:, : t + 1])[:, -1:]
            context = torch.cat([context, following], 1)
        return self._error(context[:, 1:], z[:, 1 : self._config.rollout + 1])


class PlanTrial(Protocol):
    """Evaluation of a planner with a model in training; implemented where planners are.

    Attributes:
        every: Number of steps between two evaluations.
    """

    every: int

    def check(self, model: WorldModel) -> None:
        """Raise a :class:`.UserError` before training for anything that would make an evaluation fail."""
        ...

    def success(self, model: WorldModel) -> dict[str, float]:
        """Success rates by name."""
        ...


def train(
    mixture: Mixture,
    encoder: str,
    out: Path,
    *,
    preset_name: str,
    config: TrainConfig,
    seed: int,
    report: Report,
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
    compute: Compute | None = None,
    plan: PlanTrial | None = None,
    start: str | None = None,
) -> WorldModel:
    """Train the predictor, or resume the run in ``out``.

    Args:
        mixture: Training data, robot episodes only; their period becomes the model's.
        encoder: Checkpoint of stage one: a name, a folder, or a released file.
        out: Folder of the run.
        preset_name: Preset of the predictor's sizes.
        config: Schedule and loss weights.
        seed: Random seed of the initial weights and of all draws.
        report: Called with (step, steps, scalars).
        on_encoded: Called with the number of frames encoded so far and in all.
        compute: This process's part of the work; a single process on the CPU by default.
        plan: Evaluation of the planner during training; the losses are a weak proxy for its success rate.
        start: Checkpoint of a world model whose predictor and goal policy are the initial weights, instead of random
            ones.

    Raises:
        UserError: The data, the encoder or ``start`` don't fit the configuration, or ``out`` holds a run with other
            settings.
    """
    compute = compute or Compute()
    rows = compute.rows(config.batch)
    if config.heads_only and start is None:
        raise UserError("heads_only needs a model with a predictor, whose heads are trained: give it as --start.")
    for clips in mixture.episodes:
        clips.check_span(config.frames)
    torch.manual_seed(seed)
    # The loaded model itself is trained further: a second copy of a large encoder may not fit into memory.
    model = WorldModel.from_pretrained(encoder)
    encoder_scores = {name: value for name, value in model.card.measured.items() if isinstance(value, float)}
    if config.heads_only and not model.card.decoders:
        raise UserError(f"Checkpoint {encoder} has no decoders and no goal policy, which heads_only would train.")
    model.card = _card(model.card, mixture, out.name, preset_name, seed, config)
    if start is None and model.card.goal_policy is not None and not mixture.has_commands():
        model.with_card(goal_policy=None)  # no actions to clone
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
    # Settings that older runs don't record.
    assumed = {"heads_only": False, "squared": False, "reading_guides": True}
    with compute.claimed(out, RUN_FILE, settings, assumed):
        run.restore(model)
        if run.is_over(report):
            forget_features(out, compute)
            return model.eval()
        if plan is not None:
            plan.check(model)
        model.to(compute.device)
        compute.split(model.encoder)
        objective = StageTwo(model, config)
        objective.predictor.recompute = compute.recompute
        key = {name: settings[name] for name in ("encoder_crc32", "data")}
        features = open_features(model, mixture, out, key=key, compute=compute, on_encoded=on_encoded)

        def draw(step: int) -> DrawnMotion:
            seeds = [[seed, step, row] for row in rows]
            return draw_motion(mixture, config, policy=policy, seeds=seeds, images=not features.cached)

        def evaluate() -> tuple[dict[str, float], np.ndarray | None]:
            scores, image = evaluate_predictor(
                objective, model, features=features, mixture=mixture, config=config, compute=compute
            )
            model.with_card(measured={**encoder_scores, **scores})
            return scores, image

        evaluations = [Evaluation("held_out", EVALUATE_EVERY, evaluate, image="imagined")]
        # A sharded encoder works only when all processes call it.
        if plan is not None and (compute.is_main or compute.shard):
            success = plan.success
            evaluations.append(Evaluation("planning", plan.every, lambda: (success(model), None), at_end=False))
        fit(
            run,
            objective,
            config,
            draw=draw,
            tensors=lambda step, drawn: (drawn.batch(features),),
            evaluations=evaluations,
            report=report,
        )
        forget_features(out, compute)
    return model.eval()


def _card(start: ModelCard, mixture: Mixture, name: str, preset_name: str, seed: int, config: TrainConfig) -> ModelCard:
    preset = PRESETS[preset_name]
    policy = start.goal_policy if config.heads_only else preset.goal_policy
    # The other entries describe a whole model, not its encoder.
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
    """Add the untrained parts that the card describes for stage two."""
    card = model.card
    model.mask_predictor = None
    try:
        model.predictor = make_predictor(card.predictor, card.encoder)
    except UserError as error:
        raise UserError(f"{misfit}: {error}") from error
    model.goal_policy = GoalPolicy(card.goal_policy, card.encoder, card.object_decoder) if card.goal_policy else None


def _begin_with(model: WorldModel, start: str, same_encoder: bool) -> None:
    """Copy another world model's predictor, goal policy and provenance.

    Args:
        model: Model that they are copied to.
        start: Checkpoint of the other model.
        same_encoder: Whether the predictor stays frozen, so that both models must have the same encoder.

    Raises:
        UserError: The other model has no predictor, or other sizes, period or encoder; the error names both.
    """
    other = WorldModel.from_pretrained(start)
    ours, theirs = model.card, other.card
    if other.predictor is None:
        raise UserError(f"Checkpoint {start} can't be the --start of stage two: it has only an encoder.")
    if theirs.period is None or ours.period is None or abs(theirs.period - ours.period) > 0.01 * ours.period:
        raise UserError(
            f"Checkpoint {start} was trained for steps of {theirs.period} s; these data's are {ours.period} s."
        )
    pairs = zip(model.encoder.parameters(), other.encoder.parameters(), strict=False)
    if same_encoder and not (ours.encoder == theirs.encoder and all(torch.equal(a, b) for a, b in pairs)):
        raise UserError(
            f"heads_only keeps the predictor of {start}, which fits its own encoder only: give {start} as --encoder."
        )
    for name in ("predictor", "goal_policy"):
        our_sizes, their_sizes = getattr(ours, name), getattr(theirs, name)
        if their_sizes != our_sizes:
            raise UserError(
                f"The {name} of checkpoint {start} is {their_sizes}; that of the preset is {our_sizes}. Choose another "
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
    objective: StageTwo,
    model: WorldModel,
    *,
    features: Features,
    mixture: Mixture,
    config: TrainConfig,
    compute: Compute,
) -> tuple[dict[str, float], np.ndarray | None]:
    """Evaluate the losses on held-out episodes.

    Returns:
        Losses by name, and an image uint8 [H, W, 3] of frames above their predictions; None without a pixel decoder.
    """
    policy = model.card.goal_policy
    size = max(1, config.batch // compute.ranks)  # fits into memory, as a training step does
    count = min(HELD_OUT_CLIPS, 4 * size)
    sums: dict[str, float] = {}
    for first in range(0, count, size):
        seeds = [[HELD_OUT_SEED, row] for row in range(first, min(first + size, count))]
        drawn = draw_motion(mixture, config, policy=policy, seeds=seeds, images=not features.cached, held_out=True)
        with compute.autocast():
            losses = objective(drawn.batch(features))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(seeds)
    scores = {name: value / count for name, value in sums.items()}
    if model.pixel_decoder is None:
        return scores, None
    rows = []
    for clip in mixture.draw_motion([[HELD_OUT_SEED, row] for row in range(4)], config.frames, True, images=True):
        z = features.of([clip])
        imagined = model.rollout(z[0, 0], clip.states[0], clip.actions[None])[0]
        original = model.card.transform.invert(model.card.transform(torch.from_numpy(clip.frames)))
        decoded = model.card.transform.invert(model.pixel_decoder(torch.cat([z[0, :1], imagined])))
        rows.append(np.concatenate([np.concatenate(list(original), 1), np.concatenate(list(decoded), 1)]))
    return scores, np.concatenate(rows)
