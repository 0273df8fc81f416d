"""A world model learned end to end, LeWM's way (arXiv 2603.19312): one token a picture, the next one's error, and a
term that keeps tokens standard normal, so that they can't all become the same. No teacher, no moving average, no frozen
encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from vjepa_sim.baselines.one_token import OneTokenConfig, TokenPredictorConfig
from vjepa_sim.card import ModelCard
from vjepa_sim.checks import check_positive
from vjepa_sim.data.clip import Clip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.data.prefetch import Ahead
from vjepa_sim.models.heads import object_target, reading_error, state_target
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.run import RUN_FILE, Run, make_optimizer
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.training.train_batch import stacked
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

KNOTS = torch.linspace(-5.0, 5.0, 17)  # where characteristic functions are compared
LEARNING_RATE = Schedule(1e-5, 1e-3, 1e-5, warmup=100, shape="cosine")
WEIGHT_DECAY = constant(1e-3)
EVALUATE_EVERY = 250
HELD_OUT_CLIPS, HELD_OUT_SEED = 64, 1


@dataclass(frozen=True)
class LeWMConfig:
    """The run.

    Attributes:
        steps, batch: its length; clips per step, over all processes.
        learning_rate, weight_decay, max_gradient_norm: AdamW's.
        normal_weight: of the term that keeps tokens standard normal. The term grows with the batch, which is a quarter
            of LeWM's.
        projections: random directions in which that is looked at.
    """

    steps: int = 3000
    batch: int = 32
    learning_rate: Schedule = LEARNING_RATE
    weight_decay: Schedule = WEIGHT_DECAY
    max_gradient_norm: float = 1.0
    normal_weight: float = 0.2
    projections: int = 512

    def __post_init__(self) -> None:
        check_positive(self, "steps", "batch", "projections")


class LeWM(nn.Module):
    """What is trained, and its losses."""

    def __init__(self, model: WorldModel, config: LeWMConfig, compute: Compute):
        super().__init__()
        self.encoder, self.predictor = model.encoder, model.predictor
        self.state_decoder, self.object_decoder = model.state_decoder, model.object_decoder
        self._config, self._compute = config, compute

    def forward(
        self, images: torch.Tensor, actions: torch.Tensor, states: torch.Tensor, objects: torch.Tensor, seed: int
    ) -> dict[str, torch.Tensor]:
        """One batch.

        Args:
            images: normalised clips [B, T, 3, H, W].
            actions: [B, T - 1, 7].
            states, objects: the arm's [B, T, 7] and the object's place [B, T, 3]; decoders learn to read them, and tell
                the encoder nothing.
            seed: of the directions.
        """
        z = self.encoder.still(images.flatten(0, 1)).unflatten(0, images.shape[:2])  # [B, T, 1, dim]
        predicted = self.predictor(z[:, :-1], actions)
        losses = {"prediction": (predicted - z[:, 1:]).square().mean()}
        together = self._compute.gather(z[:, :, 0]).float()  # [B, T, dim]
        # Moment by moment: frames of one clip are alike, and would look like samples that repeat each other.
        normal = [departure_from_normal(moment, self._config.projections, seed) for moment in together.unbind(1)]
        losses["normal"] = torch.stack(normal).mean()
        losses["loss"] = losses["prediction"] + self._config.normal_weight * losses["normal"]
        read = z.detach()
        losses["state"] = reading_error(self.state_decoder(read), state_target(states))
        losses["object"] = reading_error(self.object_decoder(read), object_target(objects))
        losses["loss"] = losses["loss"] + losses["state"] + losses["object"]
        with torch.no_grad():
            losses["copy"] = (z[:, 1:] - z[:, :-1]).square().mean()
        return losses


def departure_from_normal(x: torch.Tensor, projections: int, seed: int) -> torch.Tensor:
    """How far samples are from an isotropic standard normal (SIGReg, arXiv 2511.08544): along random directions, the
    weighted squared distance between their characteristic function and the normal's (Epps and Pulley, 1983).

    Args:
        x: [N, dim].
        projections: number of directions.
        seed: of the directions.

    Returns:
        The mean over directions; about 1, whatever N, where the samples are independent and normal.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = nn.functional.normalize(torch.randn(x.shape[1], projections, generator=generator), dim=0).to(x.device)
    knots = KNOTS.to(x.device)
    normal = torch.exp(-0.5 * knots.square())
    with torch.autocast(x.device.type, enabled=False):
        angles = (x @ directions)[..., None] * knots  # [N, projections, knots]
    off = (angles.cos().mean(0) - normal).square() + angles.sin().mean(0).square()
    return len(x) * torch.trapezoid(off * normal, knots, dim=-1).mean()


def learn_lewm(
    mixture: Mixture,
    out: Path,
    config: LeWMConfig,
    seed: int,
    report: Callable[[int, int, dict], None],
    compute: Compute | None = None,
    encoder: OneTokenConfig | None = None,
    predictor: TokenPredictorConfig | None = None,
) -> WorldModel:
    """Train encoder and predictor together, or continue where ``out`` left off.

    Args:
        mixture: of robot episodes; its period becomes the model's.
        out: the run's folder.
        config: of the run.
        seed: of the initial weights and all draws.
        report: called with (step, steps, scalars).
        compute: this process's part; by default all of it, on the CPU.
        encoder, predictor: sizes.
    """
    compute, encoder, predictor = compute or Compute(), encoder or OneTokenConfig(), predictor or TokenPredictorConfig()
    rows, frames = compute.rows(config.batch), predictor.clip_frames
    for clips in mixture.episodes:
        clips.check_span(frames)
    torch.manual_seed(seed)
    card = ModelCard(
        name=out.name,
        encoder=encoder,
        transform=ImageTransform(encoder.image_size),
        predictor=predictor,
        object_decoder=True,
        period=mixture.period,
        data=mixture.records,
        training={"lewm": {"seed": seed, **asdict(config)}},
    )
    model = WorldModel(card)
    settings = {"stage": "lewm", "seed": seed, "data": mixture.identity, "period": mixture.period}
    settings |= {"bfloat16": compute.bfloat16, "encoder": asdict(encoder), "predictor": asdict(predictor)}
    settings |= asdict(config)
    with compute.claimed(out, RUN_FILE, settings):
        run = Run(out, "lewm", config.steps, compute)
        run.restore(model)
        objective = LeWM(model.to(compute.device), config, compute)
        run.attach(objective, make_optimizer(objective))
        losses_of = compute.replicate(objective)
        drawn = Ahead(lambda step: mixture.draw_motion([[seed, step, row] for row in rows], frames, pictures=True))
        for step in run.loop(report):
            batch = _tensors(drawn.take(step, config.steps), model)
            model.train()
            run.learn(config, losses_of, *batch, step)
            if run.is_due(EVALUATE_EVERY):
                scores = _measure(objective, model, mixture, config)
                run.log({f"held_out/{name}": value for name, value in scores.items()})
                model.with_card(measured=scores)
    return model.eval()


def _tensors(clips: list[Clip], model: WorldModel) -> tuple[torch.Tensor, ...]:
    """Images, actions, states and objects of clips."""
    images = torch.stack([model.card.transform(torch.from_numpy(clip.frames)) for clip in clips]).to(model.device)
    return images, *(stacked(clips, name, images) for name in ("actions", "states", "objects"))


@torch.no_grad()
def _measure(objective: LeWM, model: WorldModel, mixture: Mixture, config: LeWMConfig) -> dict[str, float]:
    """Losses on held-out episodes."""
    model.eval()
    sums: dict[str, float] = {}
    for first in range(0, HELD_OUT_CLIPS, config.batch):
        seeds = [[HELD_OUT_SEED, row] for row in range(first, min(first + config.batch, HELD_OUT_CLIPS))]
        clips = mixture.draw_motion(seeds, model.predictor.config.clip_frames, held_out=True, pictures=True)
        for name, value in objective(*_tensors(clips, model), 0).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(seeds) / HELD_OUT_CLIPS
    return sums
