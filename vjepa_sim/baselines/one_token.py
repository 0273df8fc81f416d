"""Networks of LeWM's kind (arXiv 2603.19312): a picture is one token, and a small causal transformer says which comes
next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.heads import ACTION_SCALE
from vjepa_sim.models.stem import check_halvings, make_stem
from vjepa_sim.models.transformer import ConditionedBlock, init_weights, make_blocks


@dataclass(frozen=True)
class OneTokenConfig:
    """Sizes of the encoder.

    Attributes:
        image_size: height and width of its input in pixels.
        stem: widths of convolutions, each of which halves the picture; the last one's pixels are the transformer's
            tokens.
        dim, depth, heads, mlp_hidden: of the transformer; the picture's token has ``dim`` features.
        kind: tells it from other encoders on a card.
    """

    image_size: int = 128
    stem: tuple[int, ...] = (32, 64, 128, 192)
    dim: int = 192
    depth: int = 2
    heads: int = 3
    mlp_hidden: int = 768
    kind: Literal["one-token"] = "one-token"

    def __post_init__(self) -> None:
        check_positive(self, "image_size", "dim", "depth", "heads", "mlp_hidden")
        check_halvings(self, "stem")

    @property
    def tokens(self) -> int:
        """Per picture."""
        return 1


class OneTokenEncoder(nn.Module):
    """A transformer on convolutions, whose class token, projected, is all that is kept of a picture."""

    def __init__(self, config: OneTokenConfig):
        super().__init__()
        self.config = config
        self.stem = make_stem(3, config.stem, config.dim)
        self.token = nn.Parameter(torch.randn(1, 1, config.dim) * 0.02)
        self.places = nn.Parameter(torch.randn((config.image_size >> len(config.stem)) ** 2, config.dim) * 0.02)
        self.blocks = make_blocks(config.dim, config.depth, config.heads, config.mlp_hidden)
        self.norm = nn.LayerNorm(config.dim)
        self.project = nn.Sequential(nn.Linear(config.dim, config.dim), nn.BatchNorm1d(config.dim))
        init_weights(self.blocks, self.blocks)

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised pictures [B, 3, H, W] to [B, 1, dim]; trained to be standard normal, so not layer-normed."""
        x = self.stem(images).flatten(2).transpose(1, 2) + self.places
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.project(self.norm(x[:, 0]))[:, None]


@dataclass(frozen=True)
class TokenPredictorConfig:
    """Sizes of the predictor.

    Attributes:
        dim, depth, heads, mlp_hidden: of the transformer.
        context: newest frames that it looks at.
        action_scale: actions are divided by this [7] (metres, radians, closedness).
        kind: tells it from other predictors on a card.
    """

    dim: int = 192
    depth: int = 6
    heads: int = 6
    mlp_hidden: int = 768
    context: int = 3
    action_scale: tuple[float, ...] = ACTION_SCALE
    kind: Literal["one-token"] = "one-token"

    def __post_init__(self) -> None:
        check_positive(self, "dim", "depth", "heads", "mlp_hidden", "context")
        check_numbers(self, "action_scale", length=7, above=0)

    @property
    def clip_frames(self) -> int:
        """Of a clip to learn from: those that it looks at, and the one that comes next."""
        return self.context + 1


class TokenPredictor(nn.Module):
    """Causal over frames: from each picture's token, those before it, and the actions, to the next picture's."""

    def __init__(self, config: TokenPredictorConfig, encoder: OneTokenConfig):
        super().__init__()
        self.config = config
        self.embed = nn.Linear(encoder.dim, config.dim)
        self.times = nn.Parameter(torch.randn(config.context, config.dim) * 0.02)
        self.act = nn.Sequential(nn.Linear(7, config.dim), nn.GELU(), nn.Linear(config.dim, config.dim))
        self.blocks = nn.ModuleList(
            ConditionedBlock(config.dim, config.heads, config.mlp_hidden) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, encoder.dim)
        nn.init.zeros_(self.out.weight)  # at first nothing that is seen or done matters

    def forward(self, z: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Predict each frame's successor.

        Args:
            z: [B, T, 1, encoder dim], no more frames than ``context``.
            actions: [B, T, 7]: what is done at each frame.

        Returns:
            [B, T, 1, encoder dim]: frame t holds the prediction for t + 1.
        """
        frames = z.shape[1]
        if frames > self.config.context:
            raise UserError(f"This predictor looks at {self.config.context} frames at most; {frames} were given.")
        x = self.embed(z[:, :, 0]) + self.times[:frames]
        condition = self.act(actions / actions.new_tensor(self.config.action_scale))
        mask = torch.ones(frames, frames, dtype=torch.bool, device=z.device).tril()
        for block in self.blocks:
            x = block(x, condition, mask)
        return z + self.out(self.norm(x))[:, :, None]

    def imagine(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """What sequences of actions [N, H, 7] lead to from a present [1, dim]: [N, H, 1, dim]; the state isn't looked
        at.
        """
        seen = z[None, None].expand(len(actions), 1, -1, -1)
        for t in range(1, actions.shape[1] + 1):
            newest = slice(max(0, t - self.config.context), t)
            seen = torch.cat([seen, self(seen[:, newest], actions[:, newest])[:, -1:]], 1)
        return seen[:, 1:]
