"""The transformer block that encoder and predictors share. Parameter names are the released checkpoints'."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from vjepa_sim.rope import rotate

Rope = tuple[torch.Tensor, torch.Tensor]  # cosines and sines, broadcastable to [B, heads, N, head_dim]


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, rope: Rope, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x [B, N, dim]; mask, boolean [N, N], True where attention is allowed."""
        batch, tokens, dim = x.shape
        q, k, v = (
            self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        )  # each [B, heads, N, hd]
        out = scaled_dot_product_attention(rotate(q, *rope), rotate(k, *rope), v, attn_mask=mask)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, dim))


class MLP(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [..., dim]."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, hidden)

    def forward(self, x: torch.Tensor, rope: Rope, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x [B, N, dim]."""
        x = x + self.attn(self.norm1(x), rope, mask)
        return x + self.mlp(self.norm2(x))


def make_blocks(dim: int, depth: int, heads: int, mlp_hidden: int) -> nn.ModuleList:
    """``depth`` blocks; ``heads`` must divide ``dim``."""
    if dim % heads:
        raise ValueError(f"{heads} heads don't divide a width of {dim}.")
    return nn.ModuleList(Block(dim, heads, mlp_hidden) for _ in range(depth))


def init_weights(module: nn.Module, blocks: nn.ModuleList) -> None:
    """V-JEPA 2's initialisation: truncated normal 0.02, and residual branches scaled down with depth."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv3d)):
            nn.init.trunc_normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)
    for number, block in enumerate(blocks, start=1):
        for residual in (block.attn.proj, block.mlp.fc2):
            with torch.no_grad():
                residual.weight.div_(math.sqrt(2.0 * number))
