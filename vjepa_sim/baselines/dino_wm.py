"""DINO-WM (arXiv 2411.04983): a world model on frozen patch features, trained like stage two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vjepa_sim.card import ModelCard
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.models.patch_features import MEAN, STD, PatchFeatures, PatchFeaturesConfig
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.presets import TrainConfig
from vjepa_sim.training.run import Report
from vjepa_sim.training.start_checkpoint import start_checkpoint
from vjepa_sim.training.train import train
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

PRESET = "dino-wm"
FITTED_FRAMES = 1000  # frames over which features are standardised


def learn_dino_wm(
    mixture: Mixture,
    out: Path,
    config: TrainConfig,
    *,
    seed: int,
    report: Report,
    compute: Compute | None = None,
    on_encoded: Callable[[int, int], None] = lambda done, total: None,
) -> WorldModel:
    """Train the predictor, or resume the run in ``out``. The encoder is stored in ``OUT-encoder``.

    Args:
        mixture: Training data, robot episodes only; their period becomes the model's.
        out: Folder of the run.
        config: Schedule and loss weights.
        seed: Random seed of the initial weights and of all draws.
        report, on_encoded: Progress callbacks, see :func:`.train`.
        compute: This process's part of the work; a single process on the CPU by default.

    Raises:
        UserError: A package of the encoder is missing.
    """
    compute, folder = compute or Compute(), out.with_name(f"{out.name}-encoder")
    settings = {"data": mixture.identity, "seed": seed}
    encoder = start_checkpoint(folder, settings, lambda: frozen_encoder(mixture, folder.name, seed), compute)
    return train(
        mixture,
        encoder,
        out,
        preset_name=PRESET,
        config=config,
        seed=seed,
        report=report,
        on_encoded=on_encoded,
        compute=compute,
    )


def frozen_encoder(mixture: Mixture, name: str, seed: int = 0) -> WorldModel:
    """Make the frozen encoder; its features are standardised over equally many frames of each data set.

    Args:
        mixture: Training data, robot episodes only.
        name: Name on the card.
        seed: Random seed of the frames, and of the weights of the untrained decoders.
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
    encoder = model.encoder = PatchFeatures.trained(config)
    each = FITTED_FRAMES // len(mixture.episodes)
    frames = [clips.sample(np.random.default_rng(seed), each).frames for clips in mixture.episodes]
    encoder.fit(torch.cat([card.transform(torch.from_numpy(part)) for part in frames]))
    return model.eval()
