"""The video encoder of V-JEPA 2: a vision transformer on tubelets (arXiv 2506.09985, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import nn

from vjepa_sim.checks import check_choice, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.interfaces import ImageEncoder
from vjepa_sim.models.rope import RopeMode, grid_positions, rope_table
from vjepa_sim.models.transformer import Rope, init_weights, make_blocks, run_blocks


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of the encoder.

    Attributes:
        image_size: Height and width of the input in pixels.
        patch_size: Height and width of a token in pixels.
        tubelet_size: Frames per token.
        dim, depth, heads, mlp_hidden: Sizes of the transformer.
        rope: Variant of the rotary position embedding, see :func:`.rope_table`.
    """

    image_size: int = 256
    patch_size: int = 16
    tubelet_size: int = 2
    dim: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_hidden: int = 4096
    rope: RopeMode = "compat"

    def __post_init__(self) -> None:
        check_positive(self, "image_size", "patch_size", "tubelet_size", "dim", "depth", "heads", "mlp_hidden")
        check_choice(self, "rope", get_args(RopeMode))
        if self.image_size % self.patch_size:
            raise UserError(f"Patches of {self.patch_size} pixels don't fill an image of {self.image_size}.")

    @property
    def grid(self) -> int:
        """Tokens along one side of an image."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Tokens per tubelet."""
        return self.grid**2


class PatchEmbed(nn.Module):
    """Embedding of tubelets: a convolution whose stride is its kernel."""

    def __init__(self, config: EncoderConfig, tubelet_size: int | None = None):
        """
        Args:
            config: Sizes of the encoder.
            tubelet_size: Frames per token, if they aren't the encoder's.
        """
        super().__init__()
        kernel = (tubelet_size or config.tubelet_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(3, config.dim, kernel_size=kernel, stride=kernel)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """Embed video [B, 3, T, H, W] into [B, tokens, dim], ordered by time, row and column."""
        return self.proj(video).flatten(2).transpose(1, 2)


class Encoder(ImageEncoder):
    """A transformer without class or register tokens; positions come from rotary embeddings only.

    Attributes:
        config: Sizes of the encoder.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.recompute = False
        self.patch_embed = PatchEmbed(config)
        self.blocks = make_blocks(config.dim, config.depth, config.heads, config.mlp_hidden)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        init_weights(self, self.blocks)

    def forward(self, video: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        """Encode normalised video.

        Args:
            video: Video [B, 3, T, H, W]; T a multiple of the tubelet size, H and W of the patch size.
            keep: Ids of the tokens to encode [B, K], the others are masked; None for all.

        Returns:
            Tokens [B, K or T/tubelet · H/patch · W/patch, dim].

        Raises:
            UserError: The video isn't a whole number of tubelets.
        """
        x, rope = self._tokens(video, keep)
        return self.norm(run_blocks(self.blocks, x, rope, recompute=self.recompute))

    def _tokens(self, video: torch.Tensor, keep: torch.Tensor | None) -> tuple[torch.Tensor, Rope]:
        """Embedded tokens [B, K or N, dim] of a video and their rotations; arguments as in :meth:`forward`."""
        frames, height, width = self._grid(video, self.patch_embed)
        x = self.patch_embed(video)  # [B, N, dim]
        return self._kept(x, grid_positions(frames, height, width, x.device), keep)

    def _grid(self, video: torch.Tensor, patch_embed: PatchEmbed) -> tuple[int, ...]:
        """Tokens of a video over time, height and width."""
        kernel = patch_embed.proj.kernel_size
        grid = tuple(n // k for n, k in zip(video.shape[2:], kernel, strict=True))
        if min(grid) == 0:
            raise UserError(
                f"A clip of {tuple(video.shape[2:])} (frames, height, width) is smaller than one tubelet, {kernel}."
            )
        if any(n % k for n, k in zip(video.shape[2:], kernel, strict=True)):
            raise UserError(
                f"A clip of {tuple(video.shape[2:])} (frames, height, width) is not a whole number of tubelets, "
                f"{kernel}."
            )
        return grid

    def _kept(self, x: torch.Tensor, positions: torch.Tensor, keep: torch.Tensor | None) -> tuple[torch.Tensor, Rope]:
        """The tokens to encode, and their rotations, from all tokens [B, N, dim] and their positions [N, 3]."""
        if keep is not None:
            x = x.gather(1, keep[..., None].expand(-1, -1, x.shape[-1]))  # [B, K, dim]
            positions = positions[keep]  # [B, K, 3]
        cosine, sine = rope_table(positions, self.config.dim // self.config.heads, self.config.rope)
        if keep is not None:
            cosine, sine = cosine[:, None], sine[:, None]  # one table per sample, the same for all heads
        return x, (cosine, sine)

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Encode single images, each as a tubelet of equal frames, and layer-norm the tokens without parameters.

        V-JEPA 2-AC encodes every frame like this, without mixing over time.

        Args:
            images: Normalised images [B, 3, H, W].

        Returns:
            Latents [B, tokens, dim].
        """
        return normalize_tokens(self(images[:, :, None].expand(-1, -1, self.config.tubelet_size, -1, -1)))


def normalize_tokens(z: torch.Tensor) -> torch.Tensor:
    """Layer norm over the features of each token, without parameters (eps 1e-5)."""
    return nn.functional.layer_norm(z, z.shape[-1:])
