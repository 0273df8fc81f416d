"""Inverse model: the action between two consecutive images. It treats a distant goal as if it were one step away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.presets import TrainConfig
from vjepa_sim.training.run import Report
from vjepa_sim.training.start_checkpoint import start_checkpoint
from vjepa_sim.training.train import train
from vjepa_sim.world_model import WorldModel, required

PRESET = "tiny"


def learn_inverse(
    mixture: Mixture,
    whole: str,
    out: Path,
    config: TrainConfig,
    *,
    seed: int,
    report: Report,
    compute: Compute | None = None,
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
) -> WorldModel:
    """Train an inverse model, or resume the run in ``out``.

    The goal policy of a world model is replaced by an untrained one, which is trained on pairs of neighbouring moments.
    The world model with the untrained policy is stored in ``OUT-start``.

    Args:
        mixture: Training data, robot episodes only.
        whole: Checkpoint of the world model. Its encoder and predictor stay as they are, its decoders are trained
            further.
        out: Folder of the run.
        config: Schedule and loss weights.
        seed: Random seed of the initial weights and of all draws.
        report, on_encoded: Progress callbacks, see :func:`.train`.
        compute: This process's part of the work; a single process on the CPU by default.

    Raises:
        UserError: The world model has no goal policy.
    """
    compute, folder = compute or Compute(), out.with_name(f"{out.name}-start")
    model = whole_model(whole)
    settings = {"whole_crc32": fingerprint(whole), "seed": seed}
    start = start_checkpoint(folder, settings, lambda: _with_untrained_policy(model, seed), compute)
    return train(
        mixture,
        start,
        out,
        preset_name=PRESET,
        config=replace(config, heads_only=True),
        seed=seed,
        report=report,
        on_encoded=on_encoded,
        compute=compute,
        start=start,
    )


def _with_untrained_policy(model: WorldModel, seed: int) -> WorldModel:
    torch.manual_seed(seed)
    policy = replace(required(model.card.goal_policy, "goal policy"), farthest=1, inverse=True)
    model.with_card(goal_policy=policy)
    model.goal_policy = GoalPolicy(policy, model.card.encoder, model.card.object_decoder)
    return model


def whole_model(source: str) -> WorldModel:
    """Load a world model with a goal policy.

    Raises:
        UserError: It has no goal policy.
    """
    model = WorldModel.from_pretrained(source)
    if model.goal_policy is None:
        raise UserError(f"Checkpoint {source} has no goal policy to train anew; give one that `vjepa-sim train` made.")
    return model
