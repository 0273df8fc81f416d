"""A policy cloned toward goal images as in Octo (arXiv 2405.12213), and its card; trained by :mod:`.cloning`.

A transformer sees the current image and the goal image, stacked along the channels, and the arm's state. Its readout
token conditions a head that draws chunks of actions by flow matching. In short runs at our size, flow matching came
nearer to the data than Octo's denoising diffusion (docs/baselines.md). The policy neither predicts nor plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from vjepa_sim.card import Card, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, CardedModule, build, find_checkpoint
from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.data.files import read_json_object
from vjepa_sim.envs.pose import ACTION_DIM, GRIPPER
from vjepa_sim.models.convolutional_stem import check_halvings, make_stem
from vjepa_sim.models.flow_matching import between, waves
from vjepa_sim.models.goal_policy import STATE_FEATURES, state_features
from vjepa_sim.models.heads import ACTION_SCALE
from vjepa_sim.models.transformer import init_weights, make_blocks
from vjepa_sim.weights import load_tensors, read_safetensors

WAVES = 8  # frequencies that embed a share of noise
DRAWS = 9  # chunks whose median is sent; a single one is as noisy as the data


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Sizes of the policy.

    Attributes:
        image_size: Height and width of the input in pixels.
        stem: Widths of convolutions, each of which halves the resolution; the last feature map's pixels are the tokens.
        dim, depth, heads, mlp_hidden: Sizes of the transformer.
        chunk: Number of actions in a chunk.
        head_hidden, head_depth: Sizes of the action head.
        draw_steps: Integration steps from noise to a chunk.
        action_scale: Scale of each dimension of a pose change [6], metres and radians; actions are divided by it.
    """

    image_size: int = 128
    stem: tuple[int, ...] = (32, 64, 128, 192)
    dim: int = 192
    depth: int = 3
    heads: int = 6
    mlp_hidden: int = 768
    chunk: int = 4
    head_hidden: int = 256
    head_depth: int = 3
    draw_steps: int = 10
    action_scale: tuple[float, ...] = ACTION_SCALE[:GRIPPER]

    def __post_init__(self) -> None:
        check_positive(self, "image_size", "dim", "depth", "heads", "mlp_hidden", "chunk", "head_hidden", "head_depth")
        check_positive(self, "draw_steps")
        check_numbers(self, "action_scale", length=GRIPPER, above=0)
        check_halvings(self, "stem")

    @property
    def tokens(self) -> int:
        """Number of tokens of the stacked images."""
        return (self.image_size >> len(self.stem)) ** 2


@dataclass(frozen=True, kw_only=True)
class PolicyCard(Card):
    """Card of a cloned policy.

    Attributes:
        policy: Sizes of the policy.
    """

    what: ClassVar[str] = "cloned policy"
    policy: PolicyConfig


@dataclass(frozen=True)
class Demonstrations:
    """A batch of moments, their goals, and the actions that followed.

    Attributes:
        images: Normalised images of the moment and of its goal [B, 2, 3, H, W].
        states: States of the arm at the moment [B, 7].
        chunks: Actions from the moment on [B, K, 7], see ``GoalPair.chunk``; NaN where unknown.
    """

    images: torch.Tensor
    states: torch.Tensor
    chunks: torch.Tensor

    def to(self, device: torch.device) -> Demonstrations:
        """Copy the batch to a device."""
        return Demonstrations(self.images.to(device), self.states.to(device), self.chunks.to(device))


class Policy(CardedModule):
    """Actions toward a goal image, given the current image and the arm's state.

    Attributes:
        card: Sizes, provenance and measurements, see :class:`PolicyCard`.
    """

    card: PolicyCard

    def __init__(self, card: PolicyCard):
        super().__init__()
        self.card, config = card, card.policy
        self.stem = make_stem(6, config.stem, config.dim)
        self.places = nn.Parameter(torch.randn(config.tokens, config.dim) * 0.02)
        self.state = nn.Linear(STATE_FEATURES, config.dim)
        self.readout = nn.Parameter(torch.randn(1, 1, config.dim) * 0.02)
        self.blocks = make_blocks(config.dim, config.depth, config.heads, config.mlp_hidden)
        init_weights(self.blocks, self.blocks)
        self.norm = nn.LayerNorm(config.dim)
        self.head = FlowHead(config)
        self._scale, self._center = (*config.action_scale, 0.5), (*[0.0] * GRIPPER, 0.5)

    def forward(self, batch: Demonstrations, noise: torch.Tensor, levels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Flow-matching loss of a batch.

        Args:
            batch: Demonstrations of B moments.
            noise: N noise samples per moment [N, B, K, 7]; each image is encoded once for all of them.
            levels: Shares of noise [N, B], 0 to 1.

        Returns:
            The loss, as ``loss``.
        """
        known = torch.isfinite(batch.chunks)
        center = batch.chunks.new_tensor(self._center)
        chunks = (torch.where(known, batch.chunks, center) - center) / center.new_tensor(self._scale)
        embedding = self.embed(batch.images, batch.states).expand(len(noise), -1, -1)
        velocity = self.head(embedding, between(chunks, noise, levels), levels)
        error = (velocity - (noise - chunks)).square() * known
        return {"loss": error.sum() / (len(noise) * known.sum()).clamp_min(1)}

    def embed(self, images: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Embed images and goals [B, 2, 3, H, W] and states [B, 7] into [B, dim]."""
        tokens = self.stem(images.flatten(1, 2)).flatten(2).transpose(1, 2) + self.places
        x = torch.cat(
            [self.readout.expand(len(images), -1, -1), self.state(state_features(states))[:, None], tokens], 1
        )
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])

    @torch.no_grad()
    def draw(
        self, images: torch.Tensor, states: torch.Tensor, generator: torch.Generator, draws: int = 1
    ) -> torch.Tensor:
        """Draw chunks of actions.

        Args:
            images: Normalised images and goals [B, 2, 3, H, W].
            states: States of the arm [B, 7].
            generator: Random generator of the noise.
            draws: Number of chunks per moment.

        Returns:
            Chunks [draws, B, K, 7]: changes of pose, and commanded closedness.
        """
        chunks = self.head.draw(self.embed(images, states).expand(draws, -1, -1), generator)
        return chunks * chunks.new_tensor(self._scale) + chunks.new_tensor(self._center)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Policy:
        """Load a checkpoint.

        Args:
            source: Name of a bundled checkpoint, or folder of a policy or of a training run.

        Raises:
            UserError: There is no such checkpoint, it isn't a policy's, or a file is damaged.
        """
        path = find_checkpoint(source)
        policy = build(cls, read_card(path / CARD_FILE, PolicyCard), path)
        load_tensors(policy, read_safetensors(path / WEIGHTS_FILE), path)
        return policy.eval()


def is_policy(source: str | Path) -> bool:
    """Whether a checkpoint is a cloned policy's, judged by its card."""
    card = find_checkpoint(source) / CARD_FILE
    return card.is_file() and "policy" in read_json_object(card)


class FlowHead(nn.Module):
    """Action head: draws chunks of scaled actions by flow matching (arXiv 2210.02747)."""

    def __init__(self, config: PolicyConfig):
        super().__init__()
        self._chunk, self._steps, hidden = config.chunk, config.draw_steps, config.head_hidden
        numbers = config.chunk * ACTION_DIM
        self.begin = nn.Linear(numbers + 2 * WAVES + config.dim, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden))
            for _ in range(config.head_depth)
        )
        self.end = nn.Linear(hidden, numbers)

    def forward(self, embedding: torch.Tensor, noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """Velocity from chunks to noise.

        Args:
            embedding: Condition of the chunks [..., dim].
            noisy: Scaled chunks with noise [..., K, 7].
            levels: Shares of noise [...], 0 to 1.

        Returns:
            Predicted noise minus chunks [..., K, 7].
        """
        x = self.begin(torch.cat([noisy.flatten(-2), waves(levels, WAVES), embedding], -1))
        for block in self.blocks:
            x = x + block(x)
        return self.end(x).unflatten(-1, (self._chunk, ACTION_DIM))

    def draw(self, embedding: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw scaled chunks [..., K, 7] for embeddings [..., dim]."""
        shape = (*embedding.shape[:-1], self._chunk, ACTION_DIM)
        x = torch.randn(shape, generator=generator).to(embedding.device)
        for step in reversed(range(1, self._steps + 1)):
            levels = torch.full(shape[:-2], step / self._steps, device=embedding.device)
            x = x - self(embedding, x, levels) / self._steps
        return x
