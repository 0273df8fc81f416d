"""The mask-denoising predictor of V-JEPA 2's first stage: from seen tokens to the features of hidden ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import nn

from vjepa_sim.checks import check_choice, check_positive
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.rope import RopeMode, rope_table
from vjepa_sim.models.transformer import init_weights, make_blocks, run_blocks


@dataclass(frozen=True)
class PredictorConfig:
    """Sizes of the mask-denoising predictor.

    Attributes:
        dim, depth, heads, mlp_hidden: of the transformer.
        mask_tokens: learned tokens, one for each clip length that is trained on; the released weights have 10.
        rope: see :func:`.rope_table`.
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
        recompute: trade time for memory in training, see :func:`.run_blocks`.
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
        """Predict the features of hidden tokens.

        Args:
            context: encoded seen tokens [B, K, encoder dim].
            context_ids: [B, K].
            target_ids: [B, M].
            mask_index: which learned mask token stands for the hidden ones.
            grid: tokens along one side of these pictures, if they are not of the encoder's configured size.

        Returns:
            [B, M, encoder dim].
        """
        batch, seen = context_ids.shape
        hidden = self.mask_tokens[mask_index].expand(batch, target_ids.shape[1], -1)
        x = torch.cat([self.predictor_embed(context), hidden], 1)  # [B, K + M, dim]
        # The reference sorts these by id; attention with rotary positions doesn't depend on the order.
        ids = torch.cat([context_ids, target_ids], 1)
        grid = grid or self.grid
        positions = torch.stack([ids // grid**2, ids % grid**2 // grid, ids % grid], -1)
        rope = tuple(
            table[:, None] for table in rope_table(positions, self.config.dim // self.config.heads, self.config.rope)
        )
        x = run_blocks(self.predictor_blocks, x, rope, recompute=self.recompute)
        return self.predictor_proj(self.predictor_norm(x[:, seen:]))
