"""The action-conditioned predictor, V-JEPA 2-AC (arXiv 2506.09985, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vjepa_sim.encoder import EncoderConfig, normalize_tokens
from vjepa_sim.rope import RopeMode, grid_positions, rope_table
from vjepa_sim.rotation import euler_to_matrix
from vjepa_sim.transformer import init_weights, make_blocks


@dataclass(frozen=True)
class ACPredictorConfig:
    """Sizes of the action-conditioned predictor, and the switches by which a small one differs from the released.

    Attributes:
        dim, depth, heads, mlp_hidden: of the transformer.
        residual: predict the change of each token and not the token itself.
        merge: this many tokens, each way, are seen and predicted as one.
        action_scale: actions are divided by this [7] (metres, radians, closedness).
        state_center, state_scale: positions [3] are centred and divided by these, metres.
        state_rotation: how the network sees the hand's orientation: Euler angles as they are, or the first two columns
            of the rotation matrix, which have no jump where the hand points straight down.
        rope: see :func:`vjepa_sim.rope.rope_table`.
        extrinsics: whether a camera pose [6] is a third conditioning token.
    """

    dim: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_hidden: int = 4096
    residual: bool = False
    merge: int = 1
    action_scale: tuple[float, ...] = (1.0,) * 7
    state_center: tuple[float, ...] = (0.0,) * 3
    state_scale: float = 1.0
    state_rotation: Literal["euler", "matrix"] = "euler"
    rope: RopeMode = "compat"
    extrinsics: bool = False


class ACPredictor(nn.Module):
    """Block-causal transformer: all tokens of a frame see all tokens of that frame and of earlier ones."""

    def __init__(self, config: ACPredictorConfig, encoder: EncoderConfig):
        super().__init__()
        self.config = config
        if encoder.grid % config.merge:
            raise ValueError(f"merge={config.merge} doesn't divide the encoder's grid of {encoder.grid}.")
        self.grid = encoder.grid
        width = encoder.dim * config.merge**2
        self.predictor_embed = nn.Linear(width, config.dim)
        self.action_encoder = nn.Linear(7, config.dim)
        self.state_encoder = nn.Linear(7 if config.state_rotation == "euler" else 10, config.dim)
        self.extrinsics_encoder = nn.Linear(6, config.dim)  # in the released weights even when unused
        self.predictor_blocks = make_blocks(config.dim, config.depth, config.heads, config.mlp_hidden)
        self.predictor_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.predictor_proj = nn.Linear(config.dim, width)
        init_weights(self, self.predictor_blocks)
        if config.residual:
            nn.init.zeros_(self.predictor_proj.weight)
        self.register_buffer("_action_scale", torch.tensor(config.action_scale), persistent=False)
        self.register_buffer("_state_center", torch.tensor(config.state_center), persistent=False)

    def forward(
        self, z: torch.Tensor, actions: torch.Tensor, states: torch.Tensor, extrinsics: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Predict each frame's successor.

        Args:
            z: layer-normed tokens of T frames [B, T, tokens, encoder dim].
            actions: [B, T, 7]: what is done at each frame.
            states: [B, T, 7]: the arm's state at each frame.
            extrinsics: camera pose [B, T, 6], if the model was made for it.

        Returns:
            [B, T, tokens, encoder dim], layer-normed: frame t holds the prediction for t + 1.
        """
        batch, frames = z.shape[:2]
        conditions = [
            self.action_encoder(actions / self._action_scale),
            self.state_encoder(self._state_features(states)),
        ]
        if self.config.extrinsics:
            if extrinsics is None:
                raise ValueError("This predictor was trained with camera extrinsics; pass them.")
            conditions.append(self.extrinsics_encoder(extrinsics))
        patches = self.predictor_embed(self._merge(z))  # [B, T, P, dim]
        x = torch.cat([torch.stack(conditions, 2), patches], 2)  # [B, T, C + P, dim]
        rope, mask = self._tables(frames, len(conditions), z.device)
        x = x.flatten(1, 2)
        for block in self.predictor_blocks:
            x = block(x, rope, mask)
        x = x.view(batch, frames, -1, self.config.dim)[:, :, len(conditions) :]
        out = self._split(self.predictor_proj(self.predictor_norm(x)))
        return normalize_tokens(z + out if self.config.residual else out)

    def _tables(self, frames: int, conditions: int, device: torch.device) -> tuple[tuple, torch.Tensor | None]:
        """Rotary tables and the block-causal mask, made for the frames at hand."""
        side = self.grid // self.config.merge
        patches = grid_positions(frames, side, side, device).view(frames, -1, 3)
        # Conditioning tokens have a time and no place; row and column 0 leave those dimensions unrotated.
        timed = torch.zeros(frames, conditions, 3, dtype=patches.dtype, device=device)
        timed[..., 0] = torch.arange(frames, device=device)[:, None]
        positions = torch.cat([timed, patches], 1).flatten(0, 1)  # [T (C + P), 3]
        rope = rope_table(positions, self.config.dim // self.config.heads, self.config.rope)
        if frames == 1:
            return rope, None  # no mask: the fast attention kernels take none
        frame = positions[:, 0]
        return rope, frame[:, None] >= frame[None, :]

    def _state_features(self, states: torch.Tensor) -> torch.Tensor:
        position = (states[..., :3] - self._state_center) / self.config.state_scale
        rotation = states[..., 3:6]
        if self.config.state_rotation == "matrix":
            rotation = euler_to_matrix(rotation)[..., :2].flatten(-2)
        return torch.cat([position, rotation, states[..., 6:]], -1)

    def _merge(self, z: torch.Tensor) -> torch.Tensor:
        """[B, T, tokens, D] to [B, T, tokens / m², m² D]."""
        m = self.config.merge
        if m == 1:
            return z
        batch, frames, _, dim = z.shape
        side = self.grid // m
        return (
            z.view(batch, frames, side, m, side, m, dim)
            .transpose(4, 3)
            .reshape(batch, frames, side * side, m * m * dim)
        )

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`_merge`."""
        m = self.config.merge
        if m == 1:
            return x
        batch, frames, _, width = x.shape
        side = self.grid // m
        return (
            x.view(batch, frames, side, side, m, m, width // (m * m))
            .transpose(4, 3)
            .reshape(batch, frames, self.grid**2, width // (m * m))
        )
