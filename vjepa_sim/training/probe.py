"""Probes: how well positions can be decoded from frozen features. They say more about an encoder than its loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention, smooth_l1_loss

from vjepa_sim.models.heads import Reader
from vjepa_sim.models.transformer import MLP, init_weights, make_blocks

STEPS, BATCH = 400, 256


def probe_error(features: torch.Tensor, targets: torch.Tensor, test: np.ndarray) -> np.ndarray:
    """Mean absolute error of a small network that decodes the targets from all tokens of a frame.

    A linear probe on pooled tokens would not do: a position is encoded in which token represents the object.

    Args:
        features: Features of F frames [F, tokens, dim].
        targets: Targets [F, K]; NaN where unknown.
        test: Boolean [F], True for test frames; the network is fitted to the others.

    Returns:
        Errors [K] in the targets' units; NaN for targets with too few known values.
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
        reader = Reader(features.shape[1], features.shape[2], targets.shape[1])
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


class AttentiveProbe(nn.Module):
    """Attentive probe: self-attention blocks, and one learned query that attends to all tokens.

    As in V-JEPA 2 (arXiv 2506.09985, section 5): 4 blocks in all, the last of which is the query's.
    """

    def __init__(self, dim: int, outputs: int, *, depth: int = 4, heads: int = 16, mlp_hidden: int | None = None):
        super().__init__()
        self.blocks = make_blocks(dim, depth - 1, heads, mlp_hidden or 4 * dim)
        self.query = nn.Parameter(torch.zeros(1, 1, dim))
        self.cross = _CrossBlock(dim, heads, mlp_hidden or 4 * dim)
        self.out = nn.Linear(dim, outputs)
        init_weights(self, self.blocks)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode tokens [B, N, dim] to [B, outputs]."""
        for block in self.blocks:
            z = block(z)
        return self.out(self.cross(self.query.expand(len(z), -1, -1), z)[:, 0])


class _CrossBlock(nn.Module):
    """Pre-norm cross-attention without an output projection, and an MLP."""

    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, hidden)

    def forward(self, query: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Attend from queries [B, Q, dim] to tokens [B, N, dim]; the result is [B, Q, dim]."""
        batch, queries, dim = query.shape
        q = self.q(query).view(batch, queries, self.heads, -1).transpose(1, 2)  # [B, heads, Q, hd]
        k, v = self.kv(self.norm1(z)).view(batch, z.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        query = query + scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, queries, dim)
        return query + self.mlp(self.norm2(query))


def feature_rank(features: torch.Tensor) -> float:
    """Effective rank of features [F, tokens, dim]: the exponential of the entropy of their spectrum."""
    x = features.flatten(0, 1).double()
    x = x - x.mean(0)
    values = torch.linalg.eigvalsh(x.T @ x / len(x)).clamp_min(0)
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * (share + 1e-12).log()).sum()))
