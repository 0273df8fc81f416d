"""Behaviour cloning toward goal images as in Octo (arXiv 2405.12213; fine-tuned as in arXiv 2506.09985, section 4).

Goals are later moments of the same episode, up to 20 steps ahead (hindsight relabelling). The network is
:class:`.Policy`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vjepa_sim.baselines.cloned_policy import DRAWS, Demonstrations, Policy, PolicyCard, PolicyConfig
from vjepa_sim.checks import check_positive
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.pose import GRIPPER
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.fit import Evaluation, MovingAverage, fit
from vjepa_sim.training.run import RUN_FILE, Report, Run
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.transform import ImageTransform

EVALUATE_EVERY = 500
HELD_OUT_SEED = 1
HELD_OUT = [[HELD_OUT_SEED, row] for row in range(256)]  # seeds of the moments for evaluation
LEARNING_RATE = Schedule(1e-5, 1e-3, 1e-5, warmup=200, shape="cosine")
WEIGHT_DECAY, EMA = constant(0.02), constant(0.995)


@dataclass(frozen=True, kw_only=True)
class CloningConfig:
    """Configuration of the training.

    Attributes:
        steps, batch: Number of steps, and of moments per step over all processes.
        noises: Number of noise samples per moment.
        learning_rate, weight_decay: AdamW's schedules.
        ema: Decay of the moving average of the weights.
        farthest: Largest number of periods from a moment to its goal.
        shift: Largest random shift of the images in pixels, each way, equal for a moment and its goal (arXiv
            2004.13649); it makes up for small changes of the camera's pose.
        max_gradient_norm: Norm to which larger gradients are scaled down.
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
    *,
    seed: int,
    report: Report,
    compute: Compute | None = None,
    sizes: PolicyConfig | None = None,
) -> Policy:
    """Train a policy, or resume the run in ``out``. The result is the moving average of the weights.

    Args:
        mixture: Training data, robot episodes only; their period becomes the policy's.
        out: Folder of the run.
        config: Configuration of the training.
        seed: Random seed of the initial weights and of all draws.
        report: Called with (step, steps, scalars).
        compute: This process's part of the work; a single process on the CPU by default.
        sizes: Sizes of the network.

    Raises:
        UserError: The data hold no commands to clone.
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
    if not mixture.has_commands():
        raise UserError("These data hold no commands (target states of the arm), which are cloned. Give data that do.")
    policy, online = Policy(card), Policy(card)
    settings = {"stage": "clone", "seed": seed, "data": mixture.identity, "period": mixture.period}
    settings |= {"bfloat16": compute.bfloat16, "sizes": asdict(sizes), **asdict(config)}
    with compute.claimed(out, RUN_FILE, settings):
        run = Run(out, "clone", config.steps, compute)
        online.load_state_dict(policy.state_dict())
        run.restore(policy, online=online)
        policy.to(compute.device).requires_grad_(False)
        online.to(compute.device)

        def tensors(step: int, drawn: Demonstrations) -> tuple[Demonstrations, torch.Tensor, torch.Tensor]:
            batch = drawn.to(compute.device)
            return batch, *draw_noise(batch, config.noises, np.random.default_rng([seed, step, rows.start, 2]))

        def evaluate() -> tuple[dict[str, float], None]:
            scores = measure(policy, mixture, config)
            policy.card = replace(policy.card, measured=scores)
            return scores, None

        fit(
            run,
            online,
            config,
            draw=lambda step: draw_demonstrations(mixture, card, config, seeds=[[seed, step, row] for row in rows]),
            tensors=tensors,
            evaluations=[Evaluation("held_out", EVALUATE_EVERY, evaluate)],
            report=report,
            average=MovingAverage(policy, online, config.ema),
        )
    return policy.eval()


def draw_demonstrations(
    mixture: Mixture, card: PolicyCard, config: CloningConfig, *, seeds: list[list[int]], held_out: bool = False
) -> Demonstrations:
    """Draw one moment and its goal for each seed. Images of held-out episodes are not shifted."""
    pairs = mixture.draw_pairs(seeds, config.farthest, held_out=held_out, images=True, chunk=card.policy.chunk)
    images = []
    for seed, pair in zip(seeds, pairs, strict=True):
        seen = card.transform.fit(torch.from_numpy(pair.frames))
        if config.shift and not held_out:
            seen = _shifted(seen, config.shift, np.random.default_rng([*seed, 1]))
        images.append(seen)
    states, chunks = np.stack([pair.states[0] for pair in pairs]), np.array([pair.chunk for pair in pairs])
    return Demonstrations(torch.stack(images), torch.from_numpy(states), torch.from_numpy(chunks))


def _shifted(images: torch.Tensor, farthest: int, rng: np.random.Generator) -> torch.Tensor:
    """Images [2, 3, H, W] shifted by some random pixels; their edges are repeated."""
    height, width = images.shape[-2:]
    top, left = rng.integers(0, 2 * farthest, 2, endpoint=True)
    wide = nn.functional.pad(images, (farthest,) * 4, mode="replicate")
    return wide[..., top : top + height, left : left + width]


def draw_noise(batch: Demonstrations, noises: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw noise [N, B, K, 7] and its shares [N, B] for a batch, on its device."""
    shape = (noises, *batch.chunks.shape)
    noise = torch.from_numpy(rng.standard_normal(shape, np.float32))
    levels = torch.from_numpy(rng.uniform(size=shape[:2]).astype(np.float32))
    return noise.to(batch.chunks.device), levels.to(batch.chunks.device)


def measure(policy: Policy, mixture: Mixture, config: CloningConfig) -> dict[str, float]:
    """Evaluate the first action of each chunk on held-out episodes.

    Returns:
        ``action_cm``, the mean error per axis in centimetres, and ``wrong_grips``, the share of wrong gripper commands.
    """
    batch = draw_demonstrations(mixture, policy.card, config, seeds=HELD_OUT, held_out=True)
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
