"""Short measurements of models in training: they say how good a model is, and don't change it."""

import pytest

SHORT = {
    "vjepa_sim.training.probe.STEPS": 10,
    "vjepa_sim.baselines.cloning.HELD_OUT": [[1, row] for row in range(8)],
    "vjepa_sim.baselines.lewm.HELD_OUT_CLIPS": 8,
    "vjepa_sim.baselines.video.HELD_OUT_CLIPS": 8,
}


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Take fewer steps and samples."""
    for name, value in SHORT.items():
        patch.setattr(name, value)
