"""The encoder and the mask predictor of V-JEPA 2.1 (arXiv 2603.14482), as far as they differ from V-JEPA 2's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vjepa_sim.checks import check_choice
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder import Encoder, EncoderConfig, PatchEmbed, normalize_tokens
from vjepa_sim.models.mask_predictor import Predictor, PredictorConfig
from vjepa_sim.models.rope import RopeMode, grid_positions
from vjepa_sim.models.transformer import Rope, run_blocks

TRAINED_GRID = 16  # rows and columns are scaled to the places that they have in a grid of this size
# Blocks, counted from 0, after which a level of features is taken, by depth.
LEVELS = {12: (2, 5, 8, 11), 24: (5, 11, 17, 23), 40: (9, 19, 29, 39), 48: (11, 23, 37, 47)}
MODALITY_STD = 1e-6


@dataclass(frozen=True, kw_only=True)
class Encoder21Config(EncoderConfig):
    """Sizes of V-JEPA 2.1's encoder, see :class:`.EncoderConfig`.

    Attributes:
        kind: Kind of encoder on a card.
    """

    rope: RopeMode = "correct"
    kind: Literal["v-jepa-2-1"] = "v-jepa-2-1"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "rope", ("correct",))
        if self.depth not in LEVELS:
            raise UserError(
                f"V-JEPA 2.1's encoders have {', '.join(map(str, LEVELS))} blocks; {self.depth} were asked for, whose "
                "levels aren't known."
            )


class Encoder21(Encoder):
    """A transformer with one embedding for video and one for single images, and norms after four of its blocks.

    Attributes:
        config: Sizes of the encoder.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`.
    """

    config: Encoder21Config

    def __init__(self, config: Encoder21Config):
        super().__init__(config)
        self.patch_embed_img = PatchEmbed(config, tubelet_size=1)
        self.img_mod_embed = nn.Parameter(MODALITY_STD * torch.randn(1, 1, config.dim))
        self.video_mod_embed = nn.Parameter(MODALITY_STD * torch.randn(1, 1, config.dim))
        nn.init.trunc_normal_(self.patch_embed_img.proj.weight, std=0.02)
        nn.init.zeros_(self.patch_embed_img.proj.bias)  # pyright: ignore[reportArgumentType]  # it has a bias
        del self.norm
        self.norms_block = nn.ModuleList(nn.LayerNorm(config.dim, eps=1e-6) for _ in LEVELS[config.depth])

    def forward(self, video: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        """Encode normalised video, or a single frame as an image; see :meth:`.Encoder.forward`."""
        return self.levels(video, keep)[-1]

    def levels(self, video: torch.Tensor, keep: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Encode as :meth:`forward`, to the normed tokens of all four levels, from the lowest to the last."""
        x, rope = self._tokens(video, keep)
        levels, first = [], 0
        for norm, last in zip(self.norms_block, LEVELS[self.config.depth], strict=True):
            x = run_blocks(self.blocks.part(first, last + 1), x, rope, recompute=self.recompute)
            levels.append(norm(x))
            first = last + 1
        return levels

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Encode single images, each as one frame, and layer-norm the tokens without parameters.

        Args:
            images: Normalised images [B, 3, H, W].

        Returns:
            Latents [B, tokens, dim].
        """
        return normalize_tokens(self(images[:, :, None]))

    def _tokens(self, video: torch.Tensor, keep: torch.Tensor | None) -> tuple[torch.Tensor, Rope]:
        image = video.shape[2] == 1
        embed, modality = (
            (self.patch_embed_img, self.img_mod_embed) if image else (self.patch_embed, self.video_mod_embed)
        )
        frames, height, width = self._grid(video, embed)
        scale = [1.0, *((TRAINED_GRID - 1) / max(1, side - 1) for side in (height, width))]
        positions = grid_positions(frames, height, width, video.device) * torch.tensor(scale, device=video.device)
        return self._kept(embed(video) + modality, positions, keep)


@dataclass(frozen=True, kw_only=True)
class Predictor21Config(PredictorConfig):
    """Sizes of V-JEPA 2.1's mask predictor, see :class:`.PredictorConfig`.

    Attributes:
        levels: Levels of the encoder that it takes, the last ones; 1 in distilled models.
        out_dim: Width of the predicted features: all levels together, or the teacher's in distilled models.
        kind: Kind of mask predictor on a card.
    """

    mask_tokens: int = 8
    rope: RopeMode = "correct"
    levels: int = 4
    out_dim: int = 4096
    kind: Literal["v-jepa-2-1"] = "v-jepa-2-1"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels not in (1, 4):
            raise UserError(f"V-JEPA 2.1's predictor takes 1 or 4 levels of the encoder; {self.levels} were given.")


class Predictor21(Predictor):
    """Predictor of the features of masked and of visible tokens of video.

    Context tokens are [B, K, levels · encoder dim], levels from the lowest to the last; predictions [B, M, out dim].

    Attributes:
        config: Sizes of the predictor.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`.
    """

    config: Predictor21Config

    def __init__(self, config: Predictor21Config, encoder: EncoderConfig):
        super().__init__(config, encoder)
        if config.levels > 1:
            self.predictor_embed = nn.Sequential(
                nn.Linear(config.levels * encoder.dim, encoder.dim), nn.GELU(), nn.Linear(encoder.dim, config.dim)
            )
        self.predictor_proj = nn.Linear(config.dim, config.out_dim)
        self.predictor_proj_context = nn.Linear(config.dim, config.out_dim)
        self.img_mod_embed = nn.Parameter(MODALITY_STD * torch.randn(1, 1, config.dim))
        self.video_mod_embed = nn.Parameter(MODALITY_STD * torch.randn(1, 1, config.dim))

    def _added(self) -> torch.Tensor:
        return self.video_mod_embed

    def both(
        self,
        context: torch.Tensor,
        context_ids: torch.Tensor,
        target_ids: torch.Tensor,
        mask_index: int,
        *,
        grid: int | None = None,
        image: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict the features of masked tokens [B, M, out dim] and of the context's [B, K, out dim].

        Args:
            context, context_ids, target_ids, mask_index, grid: See :meth:`.Predictor.forward`.
            image: Whether the tokens are of a single image, not of video.
        """
        modality = self.img_mod_embed if image else self.video_mod_embed
        x = self._run(context, context_ids, target_ids, mask_index, grid=grid, added=modality)
        seen = context_ids.shape[1]
        return self.predictor_proj(x[:, seen:]), self.predictor_proj_context(x[:, :seen])
