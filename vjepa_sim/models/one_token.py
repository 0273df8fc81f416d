"""Networks of LeWM (arXiv 2603.19312): an encoder of images into one token, and a causal transformer over tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.convolutional_stem import check_halvings, make_stem
from vjepa_sim.models.heads import ACTION_SCALE
from vjepa_sim.models.interfaces import ImageEncoder, LatentPredictor
from vjepa_sim.models.transformer import ConditionedBlock, init_weights, make_blocks


@dataclass(frozen=True, kw_only=True)
class OneTokenConfig:
    """Sizes of the encoder.

    Attributes:
        image_size: Height and width of the input in pixels.
        stem: Widths of convolutions, each of which halves the resolution; the last feature map's pixels are the
            transformer's tokens.
        dim, depth, heads, mlp_hidden: Sizes of the transformer; ``dim`` is that of the latent as well.
        kind: Kind of encoder on a card.
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
        """Tokens per image."""
        return 1


class OneTokenEncoder(ImageEncoder):
    """A convolutional stem and a transformer; the latent is the projected class token.

    Attributes:
        config: Sizes of the encoder.
    """

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
        """Encode normalised images [B, 3, H, W] into [B, 1, dim], trained to be standard normal."""
        x = self.stem(images).flatten(2).transpose(1, 2) + self.places
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.project(self.norm(x[:, 0]))[:, None]


@dataclass(frozen=True, kw_only=True)
class TokenPredictorConfig:
    """Sizes of the predictor.

    Attributes:
        dim, depth, heads, mlp_hidden: Sizes of the transformer.
        context: Largest number of frames that it attends to.
        action_scale: Scale of each dimension of an action [7] (metres, radians, closedness); actions are divided by it.
        kind: Kind of predictor on a card.
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
        """Frames of a training clip: the context, and the frame that follows."""
        return self.context + 1


class TokenPredictor(LatentPredictor):
    """A causal transformer over frames, from tokens and actions to the next frame's token.

    Attributes:
        config: Sizes of the predictor.
    """

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
        nn.init.zeros_(self.out.weight)  # untrained, it predicts that nothing changes

    def forward(self, z: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Predict each frame's successor.

        Args:
            z: Latents of T frames [B, T, 1, encoder dim], T at most ``context``.
            actions: Action at each frame [B, T, 7].

        Returns:
            Latents [B, T, 1, encoder dim]; frame t holds the prediction for t + 1.

        Raises:
            UserError: There are more than ``context`` frames.
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
        """Roll out N sequences of H actions; see :meth:`.LatentPredictor.imagine`. The state is not used."""
        seen = z[None, None].expand(len(actions), 1, -1, -1)
        for t in range(1, actions.shape[1] + 1):
            newest = slice(max(0, t - self.config.context), t)
            seen = torch.cat([seen, self(seen[:, newest], actions[:, newest])[:, -1:]], 1)
        return seen[:, 1:]
