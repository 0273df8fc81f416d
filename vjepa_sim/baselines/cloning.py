"""Behaviour cloning toward goal images the way Octo does it (arXiv 2405.12213, fine-tuned as in arXiv 2506.09985,
section 4).

A transformer sees the picture with the goal behind it, channel on channel, and the arm's state; what it makes of them
conditions a head that draws chunks of actions out of noise: by flow matching, which in short trials at our size came
nearer to the data than Octo's denoising of many levels (docs/baselines.md). Goals are moments of the same episode, up
to 20 steps on (hindsight). Nothing is imagined, and nothing is planned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from vjepa_sim.card import Card, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, build, find_checkpoint, write_checkpoint
from vjepa_sim.checks import check_numbers, check_positive
from vjepa_sim.data.files import read_json_object
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.prefetch import Ahead
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import ACTION_DIM, GRIPPER
from vjepa_sim.models.flow_matching import between, waves
from vjepa_sim.models.goal_policy import STATE_FEATURES, state_features
from vjepa_sim.models.heads import ACTION_SCALE
from vjepa_sim.models.stem import check_halvings, make_stem
from vjepa_sim.models.transformer import init_weights, make_blocks
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.run import RUN_FILE, Run, follow, make_optimizer
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.transform import ImageTransform
from vjepa_sim.weights import load_tensors, read_safetensors

WAVES = 8  # that a share of noise is seen as
DRAWS = 9  # whose median is sent: a single one is as noisy as the data
EVALUATE_EVERY = 500
HELD_OUT_SEED = 1
HELD_OUT = [[HELD_OUT_SEED, row] for row in range(256)]  # seeds of the moments that are measured
LEARNING_RATE = Schedule(1e-5, 1e-3, 1e-5, warmup=200, shape="cosine")
WEIGHT_DECAY, EMA = constant(0.02), constant(0.995)


@dataclass(frozen=True)
class PolicyConfig:
    """Sizes.

    Attributes:
        image_size: height and width of the input in pixels.
        stem: widths of convolutions, each of which halves the picture; the last one's pixels are the tokens.
        dim, depth, heads, mlp_hidden: of the transformer.
        chunk: actions that are drawn at once.
        head_hidden, head_depth: of the head.
        draw_steps: from noise to a chunk.
        action_scale: what counts as one, of each dimension of a change of pose.
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
        """Of a picture."""
        return (self.image_size >> len(self.stem)) ** 2


@dataclass(frozen=True, kw_only=True)
class PolicyCard(Card):
    """A cloned policy's.

    Attributes:
        policy: its sizes.
    """

    what: ClassVar[str] = "cloned policy"
    policy: PolicyConfig


@dataclass(frozen=True)
class Demonstrations:
    """Moments, their goals, and what was done.

    Attributes:
        images: normalised pictures of the moment and of its goal [B, 2, 3, H, W].
        states: the arm's at the moment [B, 7].
        chunks: what was done from there on [B, K, 7], see :class:`.Clip`; NaN where unknown.
    """

    images: torch.Tensor
    states: torch.Tensor
    chunks: torch.Tensor

    def to(self, device: torch.device) -> Demonstrations:
        """The same on a device."""
        return Demonstrations(self.images.to(device), self.states.to(device), self.chunks.to(device))


# --- the network --------------------------------------------------------------------------------------------------


class Policy(nn.Module):
    """What to do next, given a picture, the arm's state and a picture of the goal.

    Attributes:
        card: see :class:`PolicyCard`.
    """

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
        """How far the head is from the way to what was done.

        Args:
            batch: what was done.
            noise: [N, B, K, 7], N for each moment: one look at a picture teaches the head N times.
            levels: shares of noise [N, B], 0 to 1.
        """
        known = torch.isfinite(batch.chunks)
        center = batch.chunks.new_tensor(self._center)
        chunks = (torch.where(known, batch.chunks, center) - center) / center.new_tensor(self._scale)
        embedding = self.embed(batch.images, batch.states).expand(len(noise), -1, -1)
        way = self.head(embedding, between(chunks, noise, levels), levels)
        off = (way - (noise - chunks)).square() * known
        return {"loss": off.sum() / (len(noise) * known.sum()).clamp_min(1)}

    def embed(self, images: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """What the transformer makes of pictures and goals [B, 2, 3, H, W] and states [B, 7]: [B, dim]."""
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
        """Chunks of actions.

        Args:
            images: normalised pictures and goals [B, 2, 3, H, W].
            states: the arm's [B, 7].
            generator: the source of randomness.
            draws: for each.

        Returns:
            [draws, B, K, 7]: changes of pose, and the closedness that the fingers are sent to.
        """
        chunks = self.head.draw(self.embed(images, states).expand(draws, -1, -1), generator)
        return chunks * chunks.new_tensor(self._scale) + chunks.new_tensor(self._center)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Policy:
        """Load a checkpoint: a bundled name, or a folder of a policy or of a whole training run.

        Raises:
            UserError: there is none, it is no policy's, or a file is damaged.
        """
        path = find_checkpoint(source)
        policy = build(cls, read_card(path / CARD_FILE, PolicyCard), path)
        load_tensors(policy, read_safetensors(path / WEIGHTS_FILE), path)
        return policy.eval()

    def save_pretrained(self, folder: str | Path, half: bool = False) -> None:
        """Write ``card.json`` and ``model.safetensors`` into a folder; ``half`` stores half precision."""
        write_checkpoint(Path(folder), self.card, self.state_dict(), half)


def is_policy(source: str | Path) -> bool:
    """Whether a checkpoint is a cloned policy's, as its card says."""
    card = find_checkpoint(source) / CARD_FILE
    return card.is_file() and "policy" in read_json_object(card)


class FlowHead(nn.Module):
    """Draws chunks of scaled actions: noise is led to them along straight lines (flow matching, arXiv 2210.02747)."""

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
        """Which way noise lies.

        Args:
            embedding: [..., dim], what chunks are conditioned on.
            noisy: chunks with noise [..., K, 7], in units of about 1.
            levels: shares of noise [...], 0 to 1.

        Returns:
            Noise minus chunks [..., K, 7].
        """
        x = self.begin(torch.cat([noisy.flatten(-2), waves(levels, WAVES), embedding], -1))
        for block in self.blocks:
            x = x + block(x)
        return self.end(x).unflatten(-1, (self._chunk, ACTION_DIM))

    def draw(self, embedding: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Chunks [..., K, 7] for embeddings [..., dim]."""
        shape = (*embedding.shape[:-1], self._chunk, ACTION_DIM)
        x = torch.randn(shape, generator=generator).to(embedding.device)
        for step in reversed(range(1, self._steps + 1)):
            levels = torch.full(shape[:-2], step / self._steps, device=embedding.device)
            x = x - self(embedding, x, levels) / self._steps
        return x


# --- training -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CloningConfig:
    """The run.

    Attributes:
        steps, batch: its length; moments per step, over all processes.
        noises: that the head is taught with, for each moment.
        learning_rate, weight_decay: AdamW's.
        ema: share of the kept weights that each step keeps; the others are the learning ones'.
        farthest: periods from a moment to its goal, at most.
        shift: pixels that pictures are moved by at most, each way, the same of a moment and its goal: as if the camera
            had turned a little (random shifts, arXiv 2004.13649).
        max_gradient_norm: larger gradients are scaled down to it.
    """

    steps: int = 4000
    batch: int = 64
    noises: int = 16
    learning_rate: Schedule = LEARNING_RATE
    weight_decay: Schedule = WEIGHT_DECAY
    ema: Schedule = EMA
    farthest: int = 20
    shift: int = 4
    max_gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "steps", "batch", "noises", "farthest")


def clone(
    mixture: Mixture,
    out: Path,
    config: CloningConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute | None = None,
    sizes: PolicyConfig | None = None,
) -> Policy:
    """Train a policy, or continue where ``out`` left off; what is kept is the moving average of its weights.

    Args:
        mixture: of robot episodes; its period becomes the policy's.
        out: the run's folder.
        config: of the run.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        compute: this process's part; by default all of it, on the CPU.
        sizes: of the network.

    Raises:
        UserError: the data don't tell where the arm was sent.
    """
    compute, sizes = compute or Compute(), sizes or PolicyConfig()
    rows = compute.rows(config.batch)
    torch.manual_seed(seed)
    card = PolicyCard(
        name=out.name,
        transform=ImageTransform(sizes.image_size),
        policy=sizes,
        period=mixture.period,
        data=mixture.records,
        training={"clone": {"seed": seed, **asdict(config)}},
    )
    if not mixture.tells_commands():
        raise UserError(
            "These data don't tell where the arm was sent, and that is cloned. Give recordings with commands."
        )
    policy, online = Policy(card), Policy(card)
    settings = {"stage": "clone", "seed": seed, "data": mixture.identity, "period": mixture.period}
    settings |= {"bfloat16": compute.bfloat16, "sizes": asdict(sizes), **asdict(config)}
    with compute.claimed(out, RUN_FILE, settings):
        run = Run(out, "clone", config.steps, compute)
        online.load_state_dict(policy.state_dict())
        run.restore(policy, online=online)
        policy.to(compute.device).requires_grad_(False)
        run.attach(online.to(compute.device), make_optimizer(online))
        losses_of = compute.replicate(online)
        drawn = Ahead(lambda step: draw_demonstrations(mixture, card, config, [[seed, step, row] for row in rows]))
        for step in run.loop(report):
            batch = drawn.take(step, config.steps).to(compute.device)
            noise, levels = draw_noise(batch, config.noises, np.random.default_rng([seed, step, rows.start, 2]))
            run.learn(config, losses_of, batch, noise, levels)
            follow(policy, online, config.ema.at(step, config.steps))
            if run.is_due(EVALUATE_EVERY):
                scores = measure(policy, mixture, config)
                run.log({f"held_out/{name}": value for name, value in scores.items()})
                policy.card = replace(policy.card, measured=scores)
    return policy.eval()


def draw_demonstrations(
    mixture: Mixture, card: PolicyCard, config: CloningConfig, seeds: list[list[int]], held_out: bool = False
) -> Demonstrations:
    """One moment and its goal for each seed; equal seeds give equal ones. Held-out ones are not shifted."""
    pairs = mixture.draw_pairs(seeds, config.farthest, held_out, pictures=True, chunk=card.policy.chunk)
    images = []
    for seed, pair in zip(seeds, pairs, strict=True):
        seen = card.transform.fit(torch.from_numpy(pair.frames))
        if config.shift and not held_out:
            seen = _shifted(seen, config.shift, np.random.default_rng([*seed, 1]))
        images.append(seen)
    states, chunks = np.stack([pair.states[0] for pair in pairs]), np.stack([pair.chunk for pair in pairs])
    return Demonstrations(torch.stack(images), torch.from_numpy(states), torch.from_numpy(chunks))


def _shifted(images: torch.Tensor, farthest: int, rng: np.random.Generator) -> torch.Tensor:
    """Pictures [2, 3, H, W] moved by some pixels; their edges are repeated."""
    height, width = images.shape[-2:]
    top, left = rng.integers(0, 2 * farthest, 2, endpoint=True)
    wide = nn.functional.pad(images, (farthest,) * 4, mode="replicate")
    return wide[..., top : top + height, left : left + width]


def draw_noise(batch: Demonstrations, noises: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise [N, B, K, 7] and its shares [N, B] for a batch, on its device."""
    shape = (noises, *batch.chunks.shape)
    noise = torch.from_numpy(rng.standard_normal(shape, np.float32))
    levels = torch.from_numpy(rng.uniform(size=shape[:2]).astype(np.float32))
    return noise.to(batch.chunks.device), levels.to(batch.chunks.device)


def measure(policy: Policy, mixture: Mixture, config: CloningConfig) -> dict[str, float]:
    """How far the next action is from what was done, on held-out episodes: centimetres per axis, and the share of wrong
    grips.
    """
    batch = draw_demonstrations(mixture, policy.card, config, HELD_OUT, held_out=True)
    batch, generator = batch.to(policy.places.device), torch.Generator().manual_seed(HELD_OUT_SEED)
    policy.eval()
    drawn = [
        policy.draw(images, states, generator, DRAWS).median(0).values[:, 0]
        for images, states in zip(batch.images.split(32), batch.states.split(32), strict=True)
    ]
    actions, wanted = torch.cat(drawn).cpu(), batch.chunks[:, 0].cpu()
    known = torch.isfinite(wanted).all(1)
    actions, wanted = actions[known], wanted[known]
    wrong = (actions[:, GRIPPER] > 0.5) != (wanted[:, GRIPPER] > 0.5)
    return {
        "action_cm": 100 * float((actions - wanted)[:, :3].abs().mean()),
        "wrong_grips": float(wrong.float().mean()),
    }
