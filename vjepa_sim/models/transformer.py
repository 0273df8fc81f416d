"""The transformer block that encoder and predictors share. Parameter names are the released checkpoints'."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.rope import rotate

Rope = tuple[torch.Tensor, torch.Tensor]  # cosines and sines, broadcastable to [B, heads, N, head_dim]


class KeyValueCache:
    """Keys (already rotated) and values of the tokens that one attention layer has seen, [B, heads, N, head_dim].

    Attributes:
        closed: nothing is taken in any more, since no further token will ask; saves the memory.
    """

    def __init__(self):
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self.closed = False

    def extend(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add those of new tokens; returns all."""
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        if not self.closed:
            values = values.contiguous()  # a view would hold on to queries and keys as well
            self.keys, self.values = keys, values
        return keys, values


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self,
        qkv: torch.Tensor,
        rope: Rope | None = None,
        mask: torch.Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> torch.Tensor:
        """Attend.

        Args:
            qkv: the tokens' queries, keys and values [B, N, 3 dim], as :attr:`qkv` makes them.
            rope: rotations of queries and keys; None for tokens without a place.
            mask: boolean [N, N], True where attention is allowed; None for everywhere.
            cache: earlier tokens to attend to as well; takes the new ones in.

        Returns:
            [B, N, dim].
        """
        batch, tokens, width = qkv.shape
        q, k, v = qkv.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each [B, heads, N, hd]
        if rope is not None:
            q, k = rotate(q, *rope), rotate(k, *rope)
        if cache is not None:
            k, v = cache.extend(k, v)
        out = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, width // 3))


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

    def forward(self, x: torch.Tensor, rope: Rope | None = None, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x [B, N, dim]; rope and mask as in :class:`Attention`."""
        return self.finish(x, self.project(x), rope, mask)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """The first half: queries, keys and values [B, N, 3 dim], each token on its own."""
        return self.attn.qkv(self.norm1(x))

    def finish(
        self,
        x: torch.Tensor,
        qkv: torch.Tensor,
        rope: Rope | None = None,
        mask: torch.Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> torch.Tensor:
        """The second half: attention and MLP, given what :meth:`project` made."""
        x = x + self.attn(qkv, rope, mask, cache)
        return x + self.mlp(self.norm2(x))


class ConditionedBlock(nn.Module):
    """A transformer block whose norms are shifted, scaled and gated by a condition (AdaLN-zero, arXiv 2212.09748)."""

    def __init__(self, dim: int, heads: int, mlp_hidden: int):
        super().__init__()
        if dim % heads:
            raise UserError(f"{heads} heads don't divide a width of {dim}.")
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.attn, self.mlp = Attention(dim, heads), MLP(dim, mlp_hidden)
        self.modulate = nn.Linear(dim, 6 * dim)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: torch.Tensor, condition: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x [B, N, dim]; condition [B, N or 1, dim]; mask as in :class:`Attention`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(nn.functional.silu(condition)).chunk(6, -1)
        x = x + gate1 * self.attn(self.attn.qkv(self.norm1(x) * (1 + scale1) + shift1), mask=mask)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


def make_blocks(dim: int, depth: int, heads: int, mlp_hidden: int) -> nn.ModuleList:
    """``depth`` blocks; ``heads`` must divide ``dim``."""
    if dim % heads:
        raise UserError(f"{heads} heads don't divide a width of {dim}.")
    return nn.ModuleList(Block(dim, heads, mlp_hidden) for _ in range(depth))


def run_blocks(
    blocks: nn.ModuleList, x: torch.Tensor, rope: Rope, mask: torch.Tensor | None = None, recompute: bool = False
) -> torch.Tensor:
    """x [B, N, dim] through all blocks.

    With ``recompute`` (gradient checkpointing) a backward pass computes each block again instead of keeping all its
    activations: a quarter more time, a fraction of the memory.
    """
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            x = checkpoint(block, x, rope, mask, use_reentrant=False)
        else:
            x = block(x, rope, mask)
    return x


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
