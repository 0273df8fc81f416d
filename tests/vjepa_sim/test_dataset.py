"""Clips for other people's training loops."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from vjepa_sim.envs import pose
from vjepa_sim.training.dataset import ClipDataset
from vjepa_sim.transform import ImageTransform

pytestmark = pytest.mark.slow


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in ("frames", "states", "actions"))


def test_an_item_is_a_clip(mixture):
    item = ClipDataset(mixture, frames=3, clips=10)[0]
    assert item["frames"].shape == (3, 128, 128, 3) and item["frames"].dtype == torch.uint8
    assert item["states"].shape == (3, 7) and item["actions"].shape == (2, 7)
    reached = pose.integrate(item["states"][:-1].numpy(), item["actions"].numpy())
    np.testing.assert_allclose(reached[:, :3], item["states"][1:, :3], atol=1e-5)


def test_a_models_transform_makes_its_input(mixture):
    item = ClipDataset(mixture, frames=2, clips=1, transform=ImageTransform(64))[0]
    assert item["frames"].shape == (2, 3, 64, 64) and item["frames"].dtype == torch.float32


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_change_nothing(mixture, context):
    dataset = ClipDataset(mixture, frames=2, clips=6)
    alone = list(DataLoader(dataset, batch_size=3))
    together = list(DataLoader(dataset, batch_size=3, num_workers=2, multiprocessing_context=context))
    assert all(equal(first, second) for first, second in zip(alone, together, strict=True))


def test_processes_share_an_epoch(mixture):
    dataset = ClipDataset(mixture, frames=2, clips=7)
    shares = [list(DistributedSampler(dataset, 2, rank, shuffle=False, drop_last=False)) for rank in range(2)]
    assert set(shares[0]) | set(shares[1]) == set(range(7))


def test_epochs_differ_and_repeat(mixture):
    dataset = ClipDataset(mixture, frames=2, clips=5)
    first = [dataset[i] for i in range(5)]
    dataset.set_epoch(1)
    assert not all(equal(dataset[i], first[i]) for i in range(5))
    dataset.set_epoch(0)
    assert all(equal(dataset[i], first[i]) for i in range(5))
    with pytest.raises(IndexError):
        dataset[5]
