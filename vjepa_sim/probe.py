"""How well positions can be read off frozen features: watch this, not the loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, smooth_l1_loss

STEPS, BATCH = 400, 256


def probe_error(features: torch.Tensor, targets: torch.Tensor, test: np.ndarray) -> np.ndarray:
    """Mean absolute error of a small network that reads the targets off all tokens of a frame.

    A linear probe is a poor judge here: where a thing is lies in which token holds it.

    Args:
        features: [F, tokens, dim].
        targets: [F, K]; NaN where unknown.
        test: boolean [F], the frames that are scored; the network is fitted on the others.

    Returns:
        [K], in the targets' units; NaN for targets of which too little is known to fit or score.
    """
    train = np.flatnonzero(~test)
    known = torch.isfinite(targets)
    usable = (known[train].sum(0) >= 10) & known[test].any(0)  # [K]
    if not usable.any():
        return np.full(targets.shape[1], np.nan)
    center = targets[train].nanmean(0)
    spread = (targets[train] - center).square().nanmean(0).sqrt() + 1e-6
    wanted = ((targets - center) / spread).nan_to_num()
    with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(0)
        reader = _Reader(features.shape[1], features.shape[2], targets.shape[1])
        optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        rng = np.random.default_rng(0)
        for _ in range(STEPS):
            rows = torch.from_numpy(rng.choice(train, min(BATCH, len(train))))
            errors = smooth_l1_loss(reader(features[rows].clone()), wanted[rows], beta=0.1, reduction="none")
            optimizer.zero_grad(set_to_none=True)
            (errors * known[rows]).mean().backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        read = reader(features[test]) * spread + center
    error = torch.where(known[test], (read - targets[test]).abs(), torch.nan).nanmean(0)
    return torch.where(usable, error, torch.nan).numpy()


class _Reader(nn.Module):
    """Narrow each token, look at all of them at once."""

    def __init__(self, tokens: int, dim: int, outputs: int):
        super().__init__()
        self.narrow = nn.Linear(dim, 24)
        self.hidden = nn.Linear(24 * tokens, 256)
        self.out = nn.Linear(256, outputs)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.out(gelu(self.hidden(gelu(self.narrow(z)).flatten(1))))


def feature_rank(features: torch.Tensor) -> float:
    """Effective rank of the features [F, tokens, dim]: the exponential of their spectrum's entropy."""
    x = features.flatten(0, 1).double()
    x = x - x.mean(0)
    values = torch.linalg.eigvalsh(x.T @ x / len(x)).clamp_min(0)
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * (share + 1e-12).log()).sum()))
