"""Named sizes and schedules."""

from __future__ import annotations

from dataclasses import dataclass, replace

from envs.errors import UserError, unknown_name
from vjepa_sim.ac_predictor import ACPredictorConfig
from vjepa_sim.encoder import EncoderConfig
from vjepa_sim.masks import LONG_RANGE, SHORT_RANGE, MaskConfig
from vjepa_sim.predictor import PredictorConfig


@dataclass(frozen=True)
class PretrainConfig:
    """Stage one: mask-denoising, with terms that keep small objects in the features.

    Attributes:
        steps, batch: length of the run; clips per step.
        moments: frames per clip; each is shown for one tubelet, as stage two will show it.
        strides: moments are one of these many control periods apart.
        learning_rate, warmup, weight_decay: AdamW; the rate rises over ``warmup`` steps and falls as a cosine.
        ema: share of the target encoder that each step keeps.
        masks: kinds of mask, one predictor pass each.
        pixel_weight: of giving back the picture.
        state_weight: of giving back the arm's position and grip.
        variance_weight, covariance_weight: against features that die or repeat each other (VICReg's terms).
    """

    steps: int = 1500
    batch: int = 32
    moments: int = 2
    strides: tuple[int, ...] = (1, 2, 4)
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.04
    ema: float = 0.99
    masks: tuple[MaskConfig, ...] = (SHORT_RANGE, LONG_RANGE)
    pixel_weight: float = 1.0
    state_weight: float = 0.5
    variance_weight: float = 0.5
    covariance_weight: float = 0.02

    def __post_init__(self) -> None:
        _check_schedule(self)


@dataclass(frozen=True)
class TrainConfig:
    """Stage two: the action-conditioned predictor on the frozen encoder.

    Attributes:
        steps, batch: length of the run; clips per step.
        frames: per clip.
        rollout: steps that the rollout loss looks ahead.
        learning_rate, warmup, weight_decay: as in stage one.
        state_weight: of reading the arm's state off true and imagined latents; it trains the state decoder on, and
            holds the predictor to where the hand goes.
    """

    steps: int = 1600
    batch: int = 64
    frames: int = 4
    rollout: int = 2
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.02
    state_weight: float = 0.2

    def __post_init__(self) -> None:
        _check_schedule(self)


def _check_schedule(config: PretrainConfig | TrainConfig) -> None:
    if config.steps < 1 or config.batch < 1:
        raise UserError(f"steps={config.steps} and batch={config.batch} must both be at least 1.")
    if not 0 < config.learning_rate < 1:
        raise UserError(f"learning_rate={config.learning_rate} must lie between 0 and 1.")


@dataclass(frozen=True)
class Preset:
    """Everything that belongs together under one name."""

    encoder: EncoderConfig
    mask_predictor: PredictorConfig
    ac_predictor: ACPredictorConfig
    pretrain: PretrainConfig
    train: TrainConfig


def _published(image_size: int = 256, **sizes: int) -> Preset:
    """One of V-JEPA 2's sizes, with its predictors and its schedules."""
    return Preset(
        encoder=EncoderConfig(image_size=image_size, **sizes),
        mask_predictor=PredictorConfig(),
        ac_predictor=ACPredictorConfig(),
        pretrain=PretrainConfig(),
        train=TrainConfig(),
    )


PRESETS = {
    "small": _published(dim=384, depth=12, heads=6, mlp_hidden=1536),
    "base": _published(dim=768, depth=12, heads=12, mlp_hidden=3072),
    "large": _published(dim=1024, depth=24, heads=16, mlp_hidden=4096),
    "huge": _published(dim=1280, depth=32, heads=16, mlp_hidden=5120),
    "giant": _published(dim=1408, depth=40, heads=22, mlp_hidden=6144),
    "giant-384": _published(image_size=384, dim=1408, depth=40, heads=22, mlp_hidden=6144),
    "tiny": Preset(
        encoder=EncoderConfig(image_size=128, dim=128, depth=6, heads=4, mlp_hidden=512, rope="correct"),
        mask_predictor=PredictorConfig(dim=96, depth=3, heads=3, mlp_hidden=384, mask_tokens=2, rope="correct"),
        ac_predictor=ACPredictorConfig(
            dim=192,
            depth=4,
            heads=6,
            mlp_hidden=768,
            residual=True,
            merge=2,
            action_scale=(0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5),
            state_center=(0.45, 0.0, 0.25),
            state_scale=0.1,
            state_rotation="matrix",
            rope="correct",
        ),
        pretrain=PretrainConfig(),
        train=TrainConfig(),
    ),
}


def get_preset(name: str) -> Preset:
    """Look up a preset; an unknown name is a :class:`UserError` with a suggestion."""
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def shortened(config: PretrainConfig | TrainConfig, steps: int | None) -> PretrainConfig | TrainConfig:
    """The same schedule with another length; None keeps it."""
    return config if steps is None else replace(config, steps=steps, warmup=min(config.warmup, max(1, steps // 10)))
