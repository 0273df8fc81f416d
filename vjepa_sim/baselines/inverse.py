"""An inverse model: which action leads from one picture to the next. Toward a far goal it answers as if one step were
left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from vjepa_sim.checkpoint import CARD_FILE, fingerprint
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.presets import TrainConfig
from vjepa_sim.training.train import train
from vjepa_sim.world_model import WorldModel

PRESET = "tiny"
START_FILE = "start.json"


def learn_inverse(
    mixture: Mixture,
    whole: str,
    out: Path,
    config: TrainConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute | None = None,
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
) -> WorldModel:
    """Train it, or continue where ``out`` left off: the goal policy of a whole model, forgotten and learned anew from
    all pairs of neighbouring moments. What it begins with lies beside, in ``OUT-start``.

    Args:
        mixture: of robot episodes.
        whole: checkpoint of the model whose encoder and predictor it has; decoders are trained on.
        out: the run's folder.
        config: schedule.
        seed: of the initial weights and all draws.
        report, on_encoded: see :func:`.train`.
        compute: this process's part; by default all of it, on the CPU.

    Raises:
        UserError: the model has no goal policy.
    """
    compute, folder = compute or Compute(), out.with_name(f"{out.name}-start")
    model = whole_model(whole)
    made_of = {"whole_crc32": fingerprint(whole), "seed": seed}
    with compute.claimed(folder, START_FILE, made_of):
        if compute.is_main and not (folder / CARD_FILE).exists():
            torch.manual_seed(seed)
            model.with_card(goal_policy=replace(model.card.goal_policy, farthest=1, inverse=True))
            model.goal_policy = GoalPolicy(model.card.goal_policy, model.card.encoder, model.card.object_decoder)
            model.save_pretrained(folder)
    compute.wait()
    start, config = str(folder), replace(config, heads_only=True)
    return train(mixture, start, out, PRESET, config, seed, report, on_encoded, compute, start=start)


def whole_model(source: str) -> WorldModel:
    """Load the model whose policy will be forgotten.

    Raises:
        UserError: it has none.
    """
    model = WorldModel.from_pretrained(source)
    if model.goal_policy is None:
        raise UserError(
            f"Checkpoint {source} has no goal policy that could be learned anew: give one that `vjepa-sim train` made."
        )
    return model
