"""Transformer blocks of encoders and predictors. Parameters are named as in the released checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.rope import rotate

MOST_BLOCKS = 1000

Rope = tuple[torch.Tensor, torch.Tensor]  # cosines and sines, broadcastable to [B, heads, N, head_dim]


class KeyValueCache:
    """Rotated keys and values of the tokens that one attention layer has processed.

    Attributes:
        keys, values: [B, heads, N, head_dim]; None while there are no tokens.
        closed: Whether further tokens are not stored, which saves memory for the last ones of a sequence.
    """

    def __init__(self):
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self.closed = False

    def extend(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values of new tokens; returns those of all tokens."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        if not self.closed:
            values = values.contiguous()  # a view would keep queries and keys in memory as well
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
            qkv: Queries, keys and values of the tokens [B, N, 3 dim], made by ``self.qkv``.
            rope: Rotations of queries and keys; None for tokens without a position.
            mask: Boolean [N, N], True where attention is allowed; None for everywhere.
            cache: Keys and values of earlier tokens; those of the new tokens are appended.

        Returns:
            Tokens [B, N, dim].
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
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform x [..., dim]; the result has its shape."""
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
        """Transform x [B, N, dim]; rope and mask as in :class:`Attention`."""
        return self.finish(x, self.project(x), rope, mask=mask)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values [B, N, 3 dim] of x [B, N, dim], of each token on its own."""
        return self.attn.qkv(self.norm1(x))

    def finish(
        self,
        x: torch.Tensor,
        qkv: torch.Tensor,
        rope: Rope | None = None,
        *,
        mask: torch.Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> torch.Tensor:
        """Attention and MLP, given the result of :meth:`project`."""
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
        """Transform x [B, N, dim], given a condition [B, N or 1, dim]; mask as in :class:`Attention`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(nn.functional.silu(condition)).chunk(6, -1)
        x = x + gate1 * self.attn(self.attn.qkv(self.norm1(x) * (1 + scale1) + shift1), mask=mask)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class Blocks(nn.ModuleList):
    """A stack of :class:`Block`."""

    def __iter__(self) -> Iterator[Block]:
        """The blocks, from the first to the last."""
        return cast("Iterator[Block]", super().__iter__())

    def part(self, first: int, stop: int) -> Blocks:
        """The blocks from number ``first`` up to ``stop``, without it; they share their parameters."""
        return Blocks(list(self)[first:stop])


def check_depth(depth: int) -> None:
    """Raise :class:`.UserError` for more blocks or layers than any model has."""
    if depth > MOST_BLOCKS:
        raise UserError(f"{depth} blocks were asked for; no model has more than {MOST_BLOCKS}.")


def make_blocks(dim: int, depth: int, heads: int, mlp_hidden: int) -> Blocks:
    """Make ``depth`` blocks.

    Raises:
        UserError: ``heads`` doesn't divide ``dim``, or there are more blocks than any model has.
    """
    check_depth(depth)
    if dim % heads:
        raise UserError(f"{heads} heads don't divide a width of {dim}.")
    return Blocks(Block(dim, heads, mlp_hidden) for _ in range(depth))


def run_blocks(
    blocks: Blocks, x: torch.Tensor, rope: Rope, *, mask: torch.Tensor | None = None, recompute: bool = False
) -> torch.Tensor:
    """Apply all blocks to x [B, N, dim].

    With ``recompute`` (gradient checkpointing), the backward pass computes each block again instead of keeping its
    activations. It takes a quarter more time and a fraction of the memory.
    """
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            x = checkpoint(block, x, rope, mask, use_reentrant=False)
        else:
            x = block(x, rope, mask)
    return x


def init_weights(module: nn.Module, blocks: Blocks) -> None:
    """Initialise as V-JEPA 2: truncated normal with deviation 0.02, residual branches scaled down with depth."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv3d)):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for number, block in enumerate(blocks, start=1):
        for residual in (block.attn.proj, block.mlp.fc2):
            with torch.no_grad():
                residual.weight.div_(math.sqrt(2.0 * number))
