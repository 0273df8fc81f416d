"""A world model of one's own: a plain convolutional network, one latent vector per image, and a residual network that
predicts the next one from it and the action.

Try it::

    vjepa-sim collect --task reach --object box --size 64 --randomize 0 --out episodes --episodes 60
    vjepa-sim baseline cnn --plugin examples/cnn_world_model.py --data sim:episodes --out model
    vjepa-sim eval --plugin examples/cnn_world_model.py --checkpoint model --task reach --object box --out results
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vjepa_sim.baselines.registry import BASELINES, BaselineSpec, OnEncoded, Report, Stage, Training, TrainingJob
from vjepa_sim.card import Card, read_card
from vjepa_sim.checkpoint import CARD_FILE, WEIGHTS_FILE, CardedModule, build
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.models.goal_policy import GoalPolicy
from vjepa_sim.models.heads import ACTION_SCALE, reading_error, state_target
from vjepa_sim.protocols import LatentDynamics
from vjepa_sim.registry import WORLD_MODELS, WorldModelSpec
from vjepa_sim.training.fit import fit
from vjepa_sim.training.run import RUN_FILE, Run
from vjepa_sim.training.schedule import Schedule, constant
from vjepa_sim.transform import ImageTransform
from vjepa_sim.weights import load_tensors, read_safetensors

IMAGE_SIZE = 64  # pixels
FRAMES = 4  # of a training clip
LEARNING_RATE = Schedule(1e-4, 1e-3, 1e-5, warmup=50, shape="cosine")
WEIGHT_DECAY = constant(1e-4)


@dataclass(frozen=True, kw_only=True)
class CnnCard(Card):
    """Card of the checkpoint.

    Attributes:
        world_model: Name in :data:`.WORLD_MODELS`.
        dim: Length of the latent vector.
        width: Channels of the first convolution; each later one has twice as many.
    """

    world_model: str = "cnn"
    dim: int = 64
    width: int = 16


class CnnWorldModel(CardedModule, LatentDynamics):
    """Encoder, dynamics, and a decoder of the arm's state. Latents are [1, dim]: a single token per image.

    Attributes:
        card: Card of the checkpoint.
    """

    card: Card
    goal_policy: GoalPolicy | None = None
    imagines: bool = True

    def __init__(self, card: CnnCard):
        super().__init__()
        self.card = card
        widths = [3, *(card.width << i for i in range(4))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1), nn.ReLU()]
        features = widths[-1] * (card.transform.size // 16) ** 2
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, card.dim))
        self.dynamics = nn.Sequential(nn.Linear(card.dim + 7, 256), nn.ReLU(), nn.Linear(256, card.dim))
        self.state_decoder = nn.Linear(card.dim, 4)

    @property
    def device(self) -> torch.device:
        """See :attr:`.LatentDynamics.device`."""
        return self.state_decoder.weight.device

    @torch.no_grad()
    def encode(self, rgb: np.ndarray) -> torch.Tensor:
        """See :meth:`.LatentDynamics.encode`."""
        images = torch.as_tensor(rgb)
        inputs = self.card.transform(images if images.ndim == 4 else images[None])
        return self.encoder(inputs.to(self.device))[:, None]

    @torch.no_grad()
    def rollout(self, z: torch.Tensor, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """See :meth:`.LatentDynamics.rollout`; the state is not used."""
        return self.predict(z[0].expand(len(actions), -1), actions.to(self.device))[:, :, None]

    @torch.no_grad()
    def read(self, z: torch.Tensor) -> torch.Tensor:
        """See :meth:`.LatentDynamics.read`: the flange's position and the closedness, [..., 4]."""
        return self.state_decoder(z[..., 0, :])

    def predict(self, z: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Latents [B, H, dim] after each of the actions [B, H, 7], from latents [B, dim]."""
        scaled, predicted = actions / actions.new_tensor(ACTION_SCALE), []
        for action in scaled.unbind(1):
            z = z + self.dynamics(torch.cat([z, action], -1))
            predicted.append(z)
        return torch.stack(predicted, 1)

    @classmethod
    def from_pretrained(cls, folder: Path) -> CnnWorldModel:
        """Load a checkpoint.

        Raises:
            UserError: A file is missing or damaged.
        """
        model = build(cls, read_card(folder / CARD_FILE, CnnCard), folder)
        load_tensors(model, read_safetensors(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE)
        return model.eval()


WORLD_MODELS.register(WorldModelSpec("cnn", CnnWorldModel.from_pretrained))


# --- training: `vjepa-sim baseline cnn` ---------------------------------------------------------------------------


@dataclass(frozen=True)
class CnnConfig:
    """The training.

    Attributes:
        steps, batch: Number of steps, and of clips per step.
        learning_rate, weight_decay, max_gradient_norm: AdamW's.
    """

    steps: int = 600
    batch: int = 16
    learning_rate: Schedule = LEARNING_RATE
    weight_decay: Schedule = WEIGHT_DECAY
    max_gradient_norm: float = 1.0


class Losses(nn.Module):
    """Losses of a batch. The decoded state keeps the latents from becoming all the same."""

    def __init__(self, model: CnnWorldModel):
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor, states: torch.Tensor, actions: torch.Tensor) -> dict[str, torch.Tensor]:
        """Losses by name, for normalised images [B, T, 3, H, W], states [B, T, 7] and actions [B, T - 1, 7]."""
        z = self.model.encoder(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        predicted, wanted = self.model.predict(z[:, 0], actions), state_target(states)
        losses = {
            "prediction": (predicted - z[:, 1:].detach()).square().mean(),
            "state": reading_error(self.model.state_decoder(z), wanted),
            "predicted_state": reading_error(self.model.state_decoder(predicted), wanted[:, 1:]),
        }
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}


def learn(job: TrainingJob, report: Report, on_encoded: OnEncoded) -> CnnWorldModel:
    """Train, or resume a stopped run."""
    mixture, config, compute = job.mixture, job.config, job.compute
    rows = compute.rows(config.batch)
    for clips in mixture.episodes:
        clips.check_span(FRAMES)
    torch.manual_seed(job.seed)
    card = CnnCard(
        name=job.out.name,
        transform=ImageTransform(IMAGE_SIZE),
        period=mixture.period,
        data=mixture.records,
        training={"cnn": {"seed": job.seed, **asdict(config)}},
    )
    model = CnnWorldModel(card)
    settings: dict[str, Any] = {"stage": "cnn", "seed": job.seed, "data": mixture.identity, **asdict(config)}
    with compute.claimed(job.out, RUN_FILE, settings):
        run = Run(job.out, "cnn", config.steps, compute)
        run.restore(model)
        fit(
            run,
            Losses(model.to(compute.device)),
            config,
            draw=lambda step: mixture.draw_motion([[job.seed, step, row] for row in rows], FRAMES, images=True),
            tensors=lambda step, clips: tensors(model, clips),
            evaluations=(),
            report=report,
        )
    return model.eval()


def tensors(model: CnnWorldModel, clips: list[RobotClip]) -> tuple[torch.Tensor, ...]:
    """Images, states and actions of clips, on the model's device."""
    images = [model.card.transform(clip.frames) for clip in clips if clip.frames is not None]
    states, actions = ([torch.from_numpy(getattr(clip, name)) for clip in clips] for name in ("states", "actions"))
    return tuple(torch.stack(each).to(model.device) for each in (images, states, actions))


def prepare(start: str) -> Training:
    """The training with its defaults; it starts from random weights."""
    return Training(CnnConfig(), IMAGE_SIZE, (Stage("training", learn),))


BASELINES.register(BaselineSpec(name="cnn", prepare=prepare))
