"""A diffusion transformer that generates the latents of the next image by flow matching (arXiv 2210.02747).

It is conditioned on the current latents, the arm's state and the action. It predicts the noiseless latents (as in arXiv
2511.13720), as a change of the current ones, since most of an image stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from torch import nn

from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.flow_matching import between, waves
from vjepa_sim.models.goal_policy import STATE_FEATURES, state_features
from vjepa_sim.models.heads import ACTION_SCALE
from vjepa_sim.models.interfaces import LatentPredictor
from vjepa_sim.models.rotation import integrate
from vjepa_sim.models.tokeniser import TokeniserConfig
from vjepa_sim.models.transformer import ConditionedBlock

WAVES = 32  # frequencies that embed a share of noise
NOISE_SEED = 0


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Sizes of the denoiser, and number of integration steps.

    Attributes:
        dim, depth, heads, mlp_hidden: Sizes of the transformer.
        patch: Number of latents, each way, that are one token of the transformer.
        steps: Integration steps from noise to latents.
        action_scale: Scale of each dimension of an action [7] (metres, radians, closedness); actions are divided by it.
        kind: Kind of predictor on a card.
    """

    dim: int = 128
    depth: int = 4
    heads: int = 4
    mlp_hidden: int = 512
    patch: int = 2
    steps: int = 2
    action_scale: tuple[float, ...] = ACTION_SCALE
    kind: Literal["denoiser"] = "denoiser"

    def __post_init__(self) -> None:
        check_positive(self, "dim", "depth", "heads", "mlp_hidden", "patch", "steps")
        check_numbers(self, "action_scale", length=7, above=0)


class Denoiser(LatentPredictor):
    """A diffusion transformer (arXiv 2212.09748) over the latents of one image.

    Attributes:
        config: Sizes of the denoiser.
    """

    def __init__(self, config: DenoiserConfig, encoder: TokeniserConfig):
        super().__init__()
        if encoder.grid % config.patch:
            raise UserError(f"Patches of {config.patch} latents don't fill a grid of {encoder.grid}.")
        self.config, self._grid = config, encoder.grid
        width, patches = encoder.dim * config.patch**2, (encoder.grid // config.patch) ** 2
        self.embed = nn.Linear(2 * width, config.dim)
        self.places = nn.Parameter(torch.randn(patches, config.dim) * 0.02)
        self.condition = nn.Sequential(
            nn.Linear(2 * WAVES + 7 + STATE_FEATURES, config.dim), nn.SiLU(), nn.Linear(config.dim, config.dim)
        )
        self.blocks = nn.ModuleList(
            ConditionedBlock(config.dim, config.heads, config.mlp_hidden) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, width)
        nn.init.zeros_(self.out.weight)  # untrained, it predicts that nothing changes
        nn.init.zeros_(self.out.bias)

    def forward(
        self, noisy: torch.Tensor, level: torch.Tensor, z: torch.Tensor, state: torch.Tensor, action: torch.Tensor
    ) -> torch.Tensor:
        """Predict the noiseless latents of the next image.

        Args:
            noisy: Latents of the next image with noise [B, tokens, channels].
            level: Shares of noise [B], 0 to 1.
            z: Current latents [B, tokens, channels].
            state: Current states of the arm [B, 7].
            action: Actions [B, 7].

        Returns:
            Latents of the next image [B, tokens, channels].
        """
        conditions = [waves(level, WAVES), action / action.new_tensor(self.config.action_scale), state_features(state)]
        condition = self.condition(torch.cat(conditions, -1))[:, None]
        x = self.embed(torch.cat([self._patches(noisy), self._patches(z)], -1)) + self.places
        for block in self.blocks:
            x = block(x, condition)
        return z + self._latents(self.out(self.norm(x)))

    def imagine(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Roll out N sequences of H actions; see :meth:`.LatentPredictor.imagine`.

        All sequences share their noise, so that differences between them are caused by the actions.
        """
        generator = torch.Generator().manual_seed(NOISE_SEED)
        latents, latent, state = [], z.expand(len(actions), *z.shape), state.expand(len(actions), 7)
        for action in actions.unbind(1):
            x = torch.randn(z.shape, generator=generator).to(z.device).expand_as(latent)
            for step in reversed(range(1, self.config.steps + 1)):
                level = torch.full((len(actions),), step / self.config.steps, device=z.device)
                x = x + (self(x, level, latent, state, action) - x) / step
            latent, state = x, integrate(state, action)
            latents.append(latent)
        return torch.stack(latents, 1)

    def _patches(self, z: torch.Tensor) -> torch.Tensor:
        p, side = self.config.patch, self._grid // self.config.patch
        return rearrange(z, "b (h p w q) d -> b (h w) (p q d)", h=side, p=p, w=side, q=p)

    def _latents(self, x: torch.Tensor) -> torch.Tensor:
        p, side = self.config.patch, self._grid // self.config.patch
        return rearrange(x, "b (h w) (p q d) -> b (h p w q) d", h=side, w=side, p=p, q=p)


def denoising_loss(
    denoiser: nn.Module,
    *,
    z: torch.Tensor,
    states: torch.Tensor,
    actions: torch.Tensor,
    noise: torch.Tensor,
    levels: torch.Tensor,
) -> torch.Tensor:
    """Flow-matching loss: mean squared error of the predicted noiseless latents.

    Args:
        denoiser: Denoiser in training.
        z: Current and next latents [B, 2, tokens, channels].
        states, actions: Current states of the arm [B, 7], and actions [B, 7].
        noise: Noise [B, tokens, channels].
        levels: Shares of noise [B], 0 to 1.
    """
    present, following = z.unbind(1)
    end = denoiser(between(following, noise, levels), levels, present, states, actions)
    return (end - following).square().mean()
