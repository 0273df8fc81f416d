"""The mask-denoising predictor of V-JEPA 2's first stage: from context tokens to the features of masked ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import nn

from vjepa_sim.checks import check_choice, check_positive
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.rope import RopeMode, rope_table
from vjepa_sim.models.transformer import init_weights, make_blocks, run_blocks


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """Sizes of the mask-denoising predictor.

    Attributes:
        dim, depth, heads, mlp_hidden: Sizes of the transformer.
        mask_tokens: Number of learned mask tokens, one per clip length in training; the released weights have 10.
        rope: Variant of the rotary position embedding, see :func:`.rope_table`.
    """

    dim: int = 384
    depth: int = 12
    heads: int = 12
    mlp_hidden: int = 1536
    mask_tokens: int = 10
    rope: RopeMode = "compat"

    def __post_init__(self) -> None:
        check_positive(self, "dim", "depth", "heads", "mlp_hidden", "mask_tokens")
        check_choice(self, "rope", get_args(RopeMode))


class Predictor(nn.Module):
    """A narrow transformer over context tokens and mask tokens.

    Attributes:
        config: Sizes of the predictor.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`.
    """

    def __init__(self, config: PredictorConfig, encoder: EncoderConfig):
        super().__init__()
        self.config = config
        self.recompute = False
        self.grid = encoder.grid
        self.predictor_embed = nn.Linear(encoder.dim, config.dim)
        self.mask_tokens = nn.ParameterList(
            nn.Parameter(torch.zeros(1, 1, config.dim)) for _ in range(config.mask_tokens)
        )
        self.predictor_blocks = make_blocks(config.dim, config.depth, config.heads, config.mlp_hidden)
        self.predictor_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.predictor_proj = nn.Linear(config.dim, encoder.dim)
        init_weights(self, self.predictor_blocks)

    def forward(
        self,
        context: torch.Tensor,
        context_ids: torch.Tensor,
        target_ids: torch.Tensor,
        mask_index: int,
        grid: int | None = None,
    ) -> torch.Tensor:
        """Predict the features of masked tokens.

        Args:
            context: Encoded context tokens [B, K, encoder dim].
            context_ids: Ids of the context tokens [B, K].
            target_ids: Ids of the masked tokens [B, M].
            mask_index: Number of the learned mask token that stands for the masked ones.
            grid: Tokens along one side of an image, if it doesn't have the encoder's configured size.

        Returns:
            Predicted features [B, M, encoder dim].
        """
        x = self._run(context, context_ids, target_ids, mask_index, grid=grid, added=self._added())
        return self.predictor_proj(x[:, context_ids.shape[1] :])

    def _added(self) -> torch.Tensor | None:
        """What is added to all tokens at first [1, 1, dim], or None."""
        return None

    def _run(
        self,
        context: torch.Tensor,
        context_ids: torch.Tensor,
        target_ids: torch.Tensor,
        mask_index: int,
        *,
        grid: int | None,
        added: torch.Tensor | None,
    ) -> torch.Tensor:
        """Normed tokens [B, K + M, dim] of context and masked ones; ``added`` [1, 1, dim] is added to all at first."""
        hidden = self.mask_tokens[mask_index].expand(*target_ids.shape, -1)
        x = torch.cat([self.predictor_embed(context), hidden], 1)  # [B, K + M, dim]
        if added is not None:
            x = x + added
        # The reference implementation sorts these by id; attention with rotary positions doesn't depend on the order.
        ids = torch.cat([context_ids, target_ids], 1)
        grid = grid or self.grid
        positions = torch.stack([ids // grid**2, ids % grid**2 // grid, ids % grid], -1)
        cosine, sine = rope_table(positions, self.config.dim // self.config.heads, self.config.rope)
        x = run_blocks(self.predictor_blocks, x, (cosine[:, None], sine[:, None]), recompute=self.recompute)
        return self.predictor_norm(x)
