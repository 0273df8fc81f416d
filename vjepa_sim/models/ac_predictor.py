"""The action-conditioned predictor, V-JEPA 2-AC (arXiv 2506.09985, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from vjepa_sim.checks import check_choice, check_numbers, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder import EncoderConfig, normalize_tokens
from vjepa_sim.models.interfaces import LatentPredictor
from vjepa_sim.models.rope import RopeMode, grid_positions, rope_table
from vjepa_sim.models.rotation import euler_to_matrix, integrate
from vjepa_sim.models.transformer import KeyValueCache, Rope, init_weights, make_blocks, run_blocks


@dataclass(frozen=True, kw_only=True)
class ACPredictorConfig:
    """Sizes of the action-conditioned predictor, and options in which small ones differ from the released one.

    Attributes:
        dim, depth, heads, mlp_hidden: Sizes of the transformer.
        residual: Whether the network predicts the change of each token instead of the token.
        merge: Number of neighbouring tokens, each way, that are merged into one token of the transformer.
        action_scale: Scale of each dimension of an action [7] (metres, radians, closedness); actions are divided by it.
        state_center, state_scale: Centre [3] and scale of positions, metres.
        state_rotation: Representation of the end effector's orientation: Euler angles, or the first two columns of the
            rotation matrix, which are continuous where the end effector points straight down.
        rope: Variant of the rotary position embedding, see :func:`.rope_table`.
        extrinsics: Whether a camera pose [6] is a third conditioning token.
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

    def __post_init__(self) -> None:
        check_positive(self, "dim", "depth", "heads", "mlp_hidden", "merge")
        check_numbers(self, "action_scale", length=7, above=0)
        check_numbers(self, "state_center", length=3)
        check_numbers(self, "state_scale", above=0)
        check_choice(self, "state_rotation", ("euler", "matrix"))
        check_choice(self, "rope", get_args(RopeMode))

    @property
    def conditions(self) -> int:
        """Number of conditioning tokens per frame: action, state and, with extrinsics, camera."""
        return 3 if self.extrinsics else 2


class ACPredictor(LatentPredictor):
    """Block-causal transformer: all tokens of a frame attend to all tokens of that frame and of earlier ones.

    Attributes:
        config: Sizes of the predictor.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`.
    """

    def __init__(self, config: ACPredictorConfig, encoder: EncoderConfig):
        super().__init__()
        self.config = config
        self.recompute = False
        if encoder.grid % config.merge:
            raise UserError(f"merge={config.merge} doesn't divide the encoder's grid of {encoder.grid}.")
        self.grid = encoder.grid
        width = encoder.dim * config.merge**2
        self.predictor_embed = nn.Linear(width, config.dim)
        self.action_encoder = nn.Linear(7, config.dim)
        self.state_encoder = nn.Linear(7 if config.state_rotation == "euler" else 10, config.dim)
        self.extrinsics_encoder = nn.Linear(6, config.dim)  # in the released weights even when unused
        self.extrinsics_encoder.requires_grad_(config.extrinsics)
        self.predictor_blocks = make_blocks(config.dim, config.depth, config.heads, config.mlp_hidden)
        self.predictor_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.predictor_proj = nn.Linear(config.dim, width)
        init_weights(self, self.predictor_blocks)
        if config.residual:
            nn.init.zeros_(self.predictor_proj.weight)

    def forward(
        self, z: torch.Tensor, actions: torch.Tensor, states: torch.Tensor, extrinsics: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Predict each frame's successor.

        Args:
            z: Layer-normed latents of T frames [B, T, tokens, encoder dim].
            actions: Action at each frame [B, T, 7].
            states: State of the arm at each frame [B, T, 7].
            extrinsics: Camera pose at each frame [B, T, 6], if the model is conditioned on it.

        Returns:
            Layer-normed latents [B, T, tokens, encoder dim]; frame t holds the prediction for t + 1.
        """
        batch, frames = z.shape[:2]
        conditions = self._conditions(actions, states, extrinsics)  # [B, T, C, dim]
        patches = self.predictor_embed(self._merge(z))  # [B, T, P, dim]
        x = torch.cat([conditions, patches], 2).flatten(1, 2)  # [B, T (C + P), dim]
        positions = self._positions(0, frames, conditions.shape[2], patches.shape[2], z.device)
        # One frame needs no mask, and fast attention kernels support none.
        mask = None if frames == 1 else positions[:, None, 0] >= positions[None, :, 0]
        x = run_blocks(self.predictor_blocks, x, self._rope(positions), mask=mask, recompute=self.recompute)
        x = x.view(batch, frames, -1, self.config.dim)[:, :, conditions.shape[2] :]
        return self._out(z, x)

    # --- rollout, frame by frame ------------------------------------------------------------------------------

    def imagine(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Roll out N sequences of H actions from one latent; see :meth:`.LatentPredictor.imagine`."""
        latents, latent, state = [], z[None], state[None]
        caches = self.new_caches()
        for t, action in enumerate(actions.unbind(1)):
            if t == actions.shape[1] - 1:
                for cache in caches:
                    cache.closed = True
            latent = self.step(latent, action, state, caches=caches)  # [N, tokens, dim]
            latents.append(latent)
            state = integrate(state, action)
        return torch.stack(latents, 1)

    def new_caches(self) -> list[KeyValueCache]:
        """Empty caches for :meth:`step`, one per block."""
        return [KeyValueCache() for _ in self.predictor_blocks]

    def step(
        self,
        z: torch.Tensor,
        action: torch.Tensor,
        state: torch.Tensor,
        *,
        caches: list[KeyValueCache],
        extrinsics: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict the next frame from the latest one and the cached earlier ones; equal to :meth:`forward` over all.

        If all N samples share the latest frame (the first step of a plan), its tokens are embedded and projected once.

        Args:
            z: Latents of the latest frame [N or 1, tokens, encoder dim].
            action: Actions [N, 7].
            state: States of the arm [N or 1, 7].
            caches: Keys and values of the earlier frames, one cache per block; those of this frame are appended.
            extrinsics: Camera poses [N or 1, 6], if the model is conditioned on them.

        Returns:
            Predicted latents [N, tokens, encoder dim].
        """
        samples = len(action)
        frame = self._frames_in(caches, z)
        own = self.action_encoder(action / self._action_scale(action))[:, None]  # [N, 1, dim]
        others = None if extrinsics is None else extrinsics[:, None]
        shared = [
            self._conditions(None, state[:, None], others)[:, 0],  # [N or 1, C - 1, dim]
            self.predictor_embed(self._merge(z[:, None]))[:, 0],  # [N or 1, P, dim]
        ]
        common = max(map(len, shared))
        shared = torch.cat([part.expand(common, -1, -1) for part in shared], 1)
        rope = self._rope(self._positions(frame, 1, self.config.conditions, self._patches(z), z.device))

        first, *rest = self.predictor_blocks
        x = torch.cat([own, shared.expand(samples, -1, -1)], 1)  # [N, C + P, dim]
        qkv = torch.cat([first.project(own), first.project(shared).expand(samples, -1, -1)], 1)
        x = first.finish(x, qkv, rope, cache=caches[0])
        for block, cache in zip(rest, caches[1:], strict=True):
            x = block.finish(x, block.project(x), rope, cache=cache)
        return self._out(z[:, None], x[:, None, self.config.conditions :])[:, 0]

    def _frames_in(self, caches: list[KeyValueCache], z: torch.Tensor) -> int:
        """Number of frames in the caches."""
        keys = caches[0].keys
        return 0 if keys is None else keys.shape[2] // (self.config.conditions + self._patches(z))

    # --- tokens -----------------------------------------------------------------------------------------------

    def _conditions(
        self, actions: torch.Tensor | None, states: torch.Tensor, extrinsics: torch.Tensor | None
    ) -> torch.Tensor:
        """Conditioning tokens [B, T, C, dim] of action (unless None), state and, with extrinsics, camera."""
        tokens = [] if actions is None else [self.action_encoder(actions / self._action_scale(actions))]
        tokens.append(self.state_encoder(self._state_features(states)))
        if self.config.extrinsics:
            if extrinsics is None:
                raise UserError("This predictor was trained with camera extrinsics [..., 6]; pass them.")
            tokens.append(self.extrinsics_encoder(extrinsics))
        return torch.stack(tokens, 2)

    def _action_scale(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_tensor(self.config.action_scale)

    def _out(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Turn patch tokens [B, T, P, dim] into layer-normed latents; z are the latents of the frames before."""
        out = self._split(self.predictor_proj(self.predictor_norm(x)))
        return normalize_tokens(z + out if self.config.residual else out)

    def _patches(self, z: torch.Tensor) -> int:
        return z.shape[-2] // self.config.merge**2

    def _positions(self, first: int, frames: int, conditions: int, patches: int, device: torch.device) -> torch.Tensor:
        """Positions (time, row, column) of the tokens of frames ``first``, ``first`` + 1, …: [frames (C + P), 3]."""
        side = math.isqrt(patches)
        places = grid_positions(frames, side, side, device).float()
        # An image with more or fewer patches than in training spans the same rows and columns.
        places[:, 1:] *= self.grid // self.config.merge / side
        # Conditioning tokens have only a time; row and column 0 leave those dimensions unrotated.
        timed = torch.zeros(frames, conditions, 3, device=device)
        timed[..., 0] = torch.arange(frames, device=device)[:, None]
        positions = torch.cat([timed, places.view(frames, patches, 3)], 1).flatten(0, 1)
        positions[:, 0] += first
        return positions

    def _rope(self, positions: torch.Tensor) -> Rope:
        return rope_table(positions, self.config.dim // self.config.heads, self.config.rope)

    def _state_features(self, states: torch.Tensor) -> torch.Tensor:
        position = (states[..., :3] - states.new_tensor(self.config.state_center)) / self.config.state_scale
        rotation = states[..., 3:6]
        if self.config.state_rotation == "matrix":
            rotation = euler_to_matrix(rotation)[..., :2].flatten(-2)
        return torch.cat([position, rotation, states[..., 6:]], -1)

    def _merge(self, z: torch.Tensor) -> torch.Tensor:
        """Merge m × m neighbouring tokens: [B, T, tokens, D] to [B, T, tokens / m², m² D]."""
        m = self.config.merge
        if m == 1:
            return z
        batch, frames, tokens, dim = z.shape
        side = math.isqrt(tokens) // m
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
        batch, frames, patches, width = x.shape
        side = math.isqrt(patches)
        return (
            x.view(batch, frames, side, side, m, m, width // (m * m))
            .transpose(4, 3)
            .reshape(batch, frames, patches * m * m, width // (m * m))
        )
