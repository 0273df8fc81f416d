import numpy as np
import pytest
import torch

from vjepa_sim.training.probe import feature_rank, probe_error


@pytest.mark.slow
def test_it_reads_where_a_thing_is():
    """A blob in one of 16 tokens, and the number of that token."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, 16, 600)
    features = torch.randn(600, 16, 8) * 0.1
    features[torch.arange(600), torch.from_numpy(place)] += 1.0
    targets = torch.from_numpy(np.stack([place % 4, place // 4], 1)).float()
    error = probe_error(features, targets, test=np.arange(600) % 4 == 0)
    assert error.shape == (2,)
    assert np.all(error < 0.2)
    shuffled = probe_error(features, targets[torch.randperm(600)], test=np.arange(600) % 4 == 0)
    assert np.all(shuffled > 0.7)


def test_unknown_targets_are_no_number():
    assert np.isnan(probe_error(torch.zeros(20, 4, 8), torch.full((20, 3), torch.nan), np.zeros(20, bool))).all()


def test_rank_counts_directions():
    x = torch.randn(500, 4, 1) @ torch.randn(1, 1, 16)
    assert feature_rank(x) < 1.1
    assert feature_rank(torch.randn(500, 4, 16)) > 14
