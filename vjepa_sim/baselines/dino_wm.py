"""A world model on frozen features of patches, DINO-WM's way (arXiv 2411.04983): stage two, on an encoder that others
trained.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vjepa_sim.baselines.patch_features import MEAN, STD, PatchFeatures, PatchFeaturesConfig
from vjepa_sim.card import ModelCard
from vjepa_sim.checkpoint import CARD_FILE
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.presets import TrainConfig
from vjepa_sim.training.train import train
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

PRESET = "dino-wm"
FITTED_FILE = "fitted.json"
FITTED_FRAMES = 1000  # that the features' means and deviations are taken from


def learn_dino_wm(
    mixture: Mixture,
    out: Path,
    config: TrainConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute | None = None,
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
) -> WorldModel:
    """Train the predictor, or continue where ``out`` left off; the encoder's own checkpoint lies beside, in
    ``OUT-encoder``.

    Args:
        mixture: of robot episodes; its period becomes the model's.
        out: the run's folder.
        config: schedule.
        seed: of the initial weights and all draws.
        report, on_encoded: see :func:`.train`.
        compute: this process's part; by default all of it, on the CPU.

    Raises:
        UserError: the encoder's packages are missing.
    """
    compute, folder = compute or Compute(), out.with_name(f"{out.name}-encoder")
    with compute.claimed(folder, FITTED_FILE, {"data": mixture.identity, "seed": seed}):
        if compute.is_main and not (folder / CARD_FILE).exists():
            frozen_encoder(mixture, folder.name, seed).save_pretrained(folder)
    compute.wait()
    return train(mixture, str(folder), out, PRESET, config, seed, report, on_encoded, compute)


def frozen_encoder(mixture: Mixture, name: str, seed: int = 0) -> WorldModel:
    """The frozen encoder, its features standardised over frames of all of a mixture's sources alike.

    Args:
        mixture: of robot episodes.
        name: on its card.
        seed: of the frames that are drawn, and of the weights of its decoders, which have learned nothing yet.
    """
    config = PatchFeaturesConfig()
    torch.manual_seed(seed)
    card = ModelCard(
        name=name,
        encoder=config,
        transform=ImageTransform(config.image_size, mean=MEAN, std=STD),
        object_decoder=True,
        training={"features": f"{config.network}, trained on ImageNet by its authors"},
        license="Apache-2.0 (the encoder's weights), MIT (all others)",
    )
    model = WorldModel(card)
    model.encoder = PatchFeatures.trained(config)
    each = FITTED_FRAMES // len(mixture.episodes)
    frames = [clips.sample(np.random.default_rng(seed), each).frames for clips in mixture.episodes]
    model.encoder.fit(torch.cat([card.transform(torch.from_numpy(part)) for part in frames]))
    return model.eval()
