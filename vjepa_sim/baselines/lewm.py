"""LeWM (arXiv 2603.19312): a world model trained end to end, with one token per image.

The loss is the prediction error of the next token and a regulariser that keeps tokens standard normal, so that they
can't collapse. There is no teacher, no moving average and no frozen encoder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from vjepa_sim.card import ModelCard
from vjepa_sim.checks import check_positive
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.models.heads import object_target, reading_error, state_target
from vjepa_sim.models.one_token import OneTokenConfig, TokenPredictorConfig
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.fit import Evaluation, fit
from vjepa_sim.training.run import RUN_FILE, Report, Run
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.training.train_batch import stacked
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel, required

KNOTS = torch.linspace(-5.0, 5.0, 17)  # points at which characteristic functions are compared
LEARNING_RATE = Schedule(1e-5, 1e-3, 1e-5, warmup=100, shape="cosine")
WEIGHT_DECAY = constant(1e-3)
EVALUATE_EVERY = 250
HELD_OUT_CLIPS, HELD_OUT_SEED = 64, 1


@dataclass(frozen=True, kw_only=True)
class LeWMConfig:
    """Configuration of the training.

    Attributes:
        steps, batch: Number of steps, and of clips per step over all processes.
        learning_rate, weight_decay, max_gradient_norm: AdamW's schedules, and the norm to which larger gradients are
            scaled down.
        normal_weight: Weight of the regulariser that keeps tokens standard normal. The regulariser grows with the
            batch, which is a quarter of LeWM's.
        projections: Number of random directions along which the regulariser compares distributions.
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
    """The networks that are trained, and their losses.

    Attributes:
        encoder, predictor, state_decoder, object_decoder: Parts of the model.
    """

    def __init__(self, model: WorldModel, config: LeWMConfig, compute: Compute):
        super().__init__()
        self.encoder, self.predictor = model.encoder, required(model.predictor, "predictor")
        self.state_decoder = required(model.state_decoder, "state decoder")
        self.object_decoder = required(model.object_decoder, "object decoder")
        self._config, self._compute = config, compute

    def forward(
        self, images: torch.Tensor, actions: torch.Tensor, states: torch.Tensor, objects: torch.Tensor, seed: int
    ) -> dict[str, torch.Tensor]:
        """Losses of a batch.

        Args:
            images: Normalised clips [B, T, 3, H, W].
            actions: Actions [B, T - 1, 7].
            states, objects: States of the arm [B, T, 7] and positions of the object [B, T, 3] in metres. They train the
                decoders, not the encoder.
            seed: Random seed of the directions.

        Returns:
            Losses by name: ``loss``, its terms, and ``copy``, the error of predicting that nothing changes.
        """
        z = self.encoder.still(images.flatten(0, 1)).unflatten(0, images.shape[:2])  # [B, T, 1, dim]
        predicted = self.predictor(z[:, :-1], actions)
        losses = {"prediction": (predicted - z[:, 1:]).square().mean()}
        together = self._compute.gather(z[:, :, 0]).float()  # [B, T, dim]
        # Per frame number: the frames of one clip are similar, so they are no independent samples.
        normal = [departure_from_normal(frame, self._config.projections, seed) for frame in together.unbind(1)]
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
    """Distance of samples from an isotropic standard normal distribution (SIGReg, arXiv 2511.08544).

    It is the weighted squared distance between their characteristic function and that of the normal distribution (Epps
    and Pulley, 1983), averaged over random directions.

    Args:
        x: Samples [N, dim].
        projections: Number of directions.
        seed: Random seed of the directions.

    Returns:
        Scalar; about 1 for independent normal samples, whatever N.
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
    *,
    seed: int,
    report: Report,
    compute: Compute | None = None,
    encoder: OneTokenConfig | None = None,
    predictor: TokenPredictorConfig | None = None,
) -> WorldModel:
    """Train encoder and predictor together, or resume the run in ``out``.

    Args:
        mixture: Training data, robot episodes only; their period becomes the model's.
        out: Folder of the run.
        config: Configuration of the training.
        seed: Random seed of the initial weights and of all draws.
        report: Called with (step, steps, scalars).
        compute: This process's part of the work; a single process on the CPU by default.
        encoder, predictor: Sizes of the networks.
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

        def evaluate() -> tuple[dict[str, float], None]:
            scores = _measure(objective, model, mixture, config)
            model.with_card(measured=scores)
            return scores, None

        fit(
            run,
            objective,
            config,
            draw=lambda step: mixture.draw_motion([[seed, step, row] for row in rows], frames, images=True),
            tensors=lambda step, clips: (*_tensors(clips, model), step),
            evaluations=[Evaluation("held_out", EVALUATE_EVERY, evaluate)],
            report=report,
        )
    return model.eval()


def _tensors(clips: list[RobotClip], model: WorldModel) -> tuple[torch.Tensor, ...]:
    """Normalised images, actions, states and object positions of clips, on the model's device."""
    images = torch.stack([model.card.transform(torch.from_numpy(clip.frames)) for clip in clips]).to(model.device)
    return images, *(stacked(clips, name, images) for name in ("actions", "states", "objects"))


@torch.no_grad()
def _measure(objective: LeWM, model: WorldModel, mixture: Mixture, config: LeWMConfig) -> dict[str, float]:
    """Evaluate the losses on held-out episodes."""
    sums: dict[str, float] = {}
    for first in range(0, HELD_OUT_CLIPS, config.batch):
        seeds = [[HELD_OUT_SEED, row] for row in range(first, min(first + config.batch, HELD_OUT_CLIPS))]
        clips = mixture.draw_motion(seeds, objective.predictor.config.clip_frames, held_out=True, images=True)
        for name, value in objective(*_tensors(clips, model), 0).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(seeds) / HELD_OUT_CLIPS
    return sums
