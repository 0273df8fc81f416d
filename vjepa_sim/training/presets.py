"""Named sizes and schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.models.ac_predictor import ACPredictorConfig
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.goal_policy import GoalPolicyConfig
from vjepa_sim.models.heads import ACTION_SCALE, SCALE, STATE_CENTER
from vjepa_sim.models.mask_predictor import PredictorConfig
from vjepa_sim.models.patch_features import PatchFeaturesConfig
from vjepa_sim.training.augmentation import Augmentation
from vjepa_sim.training.masks import LONG_RANGE, SHORT_RANGE, MaskConfig
from vjepa_sim.training.schedule import Schedule, constant


@dataclass(frozen=True)
class Phase:
    """A phase of stage one; with progressive resolution, most steps use short and small clips.

    Attributes:
        share: Share of the run's steps.
        frames: Frames per clip.
        image_size: Height and width of the input in pixels.
    """

    share: float
    frames: int
    image_size: int


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Configuration of stage one: mask-denoising, with optional losses that keep small objects in the latents.

    Attributes:
        steps, batch: Number of steps, and of clips per step over all processes.
        phases: Phases in order; their shares add up to 1.
        strides: Periods between two frames of a clip, one of which is drawn at each step.
        still_tubelets: Whether each frame fills a whole tubelet, as in stage two.
        augmentation: Random crops and flips, or None.
        learning_rate, weight_decay: AdamW's schedules.
        ema: Decay of the moving average of the encoder's weights.
        max_gradient_norm: Norm to which larger gradients are scaled down; None for no limit.
        masks: Kinds of mask, one pass of the predictor each.
        pixel_weight: Weight of the image reconstruction loss.
        state_weight: Weight of decoding the arm's position and grip, where there is an arm.
        object_weight: Weight of decoding the object's position, where it is known (in simulated episodes).
        variance_weight, covariance_weight: Weights of VICReg's terms against collapsed and redundant features.
    """

    steps: int
    batch: int
    phases: tuple[Phase, ...]
    learning_rate: Schedule
    weight_decay: Schedule
    ema: Schedule
    strides: tuple[int, ...] = (1,)
    still_tubelets: bool = False
    augmentation: Augmentation | None = None
    max_gradient_norm: float | None = None
    masks: tuple[MaskConfig, ...] = (SHORT_RANGE, LONG_RANGE)
    pixel_weight: float = 0.0
    state_weight: float = 0.0
    object_weight: float = 0.0
    variance_weight: float = 0.0
    covariance_weight: float = 0.0

    def __post_init__(self) -> None:
        _check_run(self)
        if abs(sum(phase.share for phase in self.phases) - 1) > 1e-6:
            raise UserError(f"The phases' shares must add up to 1; given {self.phases}.")

    @property
    def decodes(self) -> bool:
        """Whether decoders are trained."""
        return max(self.pixel_weight, self.state_weight, self.object_weight) > 0

    def phase(self, step: int) -> Phase:
        """Phase that a step belongs to."""
        done = 0.0
        for phase in self.phases:
            done += phase.share
            if step < round(done * self.steps):
                return phase
        return self.phases[-1]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Configuration of stage two: the action-conditioned predictor on the frozen encoder.

    Attributes:
        steps, batch: Number of steps, and of clips per step over all processes.
        frames: Frames per clip.
        rollout: Number of steps of the rollout loss; 0 for no rollout loss.
        squared: Whether errors of latents are squared instead of absolute.
        learning_rate, weight_decay, max_gradient_norm: Settings of AdamW, as in stage one.
        state_weight: Weight of decoding the arm's state from encoded and predicted latents. It trains the state decoder
            further, and makes the predictor represent the end effector's position.
        object_weight: Weight of decoding the object's position, likewise, where it is known.
        reading_guides: Whether decoding losses of predicted latents train the predictor as well as the decoders.
        policy_weight: Weight of cloning the goal policy, where the preset has one.
        pairs: Pairs of moments and goals per clip, for the goal policy.
        heads_only: Whether the predictor is frozen, and only decoders and goal policy are trained.
        first_release_rollout: Whether to repeat an error of the first released V-JEPA 2-AC, mended in June 2025: the
            rollout's second frame was the prediction for the third.
    """

    steps: int
    batch: int
    frames: int
    learning_rate: Schedule
    weight_decay: Schedule
    rollout: int = 2
    squared: bool = False
    max_gradient_norm: float | None = None
    state_weight: float = 0.0
    object_weight: float = 0.0
    reading_guides: bool = True
    policy_weight: float = 1.0
    pairs: int = 8
    heads_only: bool = False
    first_release_rollout: bool = False

    def __post_init__(self) -> None:
        _check_run(self)
        if not 0 <= self.rollout < self.frames:
            raise UserError(f"A rollout of {self.rollout} steps needs clips of more frames than {self.frames}.")


def _check_run(config: PretrainConfig | TrainConfig) -> None:
    if config.steps < 1 or config.batch < 1:
        raise UserError(f"steps={config.steps} and batch={config.batch} must both be at least 1.")
    if not 0 < config.learning_rate.peak < 1:
        raise UserError(f"learning_rate={config.learning_rate.peak} must lie between 0 and 1.")


def constant_recipe(image_size: int) -> PretrainConfig:
    """V-JEPA 2's schedule: warm-up, a constant rate, and a cooldown with longer (and larger) clips.

    Values are those of the paper. Its code stretches the schedule by 1.25, so its decay ends at a fifth of the way.
    """
    return PretrainConfig(
        steps=252_000,
        batch=3072,
        phases=(Phase(240 / 252, frames=16, image_size=256), Phase(12 / 252, frames=64, image_size=image_size)),
        learning_rate=Schedule(1e-4, 5.25e-4, 1e-6, warmup=12_000, decay=12_000),
        weight_decay=constant(0.04),
        ema=constant(0.99925),
        augmentation=Augmentation(),
    )


def abbreviated_recipe(image_size: int) -> PretrainConfig:
    """V-JEPA 2's shorter schedule, used for its ablations: a cosine, with weight decay and EMA that rise."""
    return PretrainConfig(
        steps=90_000,
        batch=3072,
        phases=(Phase(1.0, frames=16, image_size=image_size),),
        learning_rate=Schedule(2e-4, 6.25e-4, 1e-6, warmup=12_000, shape="cosine"),
        weight_decay=Schedule(0.04, 0.04, 0.4, shape="cosine"),
        ema=Schedule(0.999, 0.999, 1.0),
        augmentation=Augmentation(),
    )


# V-JEPA 2-AC's training on DROID.
AC_RECIPE = TrainConfig(
    steps=94_500,
    batch=256,
    frames=8,
    learning_rate=Schedule(7.5e-5, 4.25e-4, 0.0, warmup=4_500, decay=4_500),
    weight_decay=constant(0.04),
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Sizes and schedules under one name.

    Attributes:
        name: Name on the command line.
        encoder: Sizes of the encoder.
        mask_predictor: Sizes of stage one's predictor; None if the encoder is already trained.
        ac_predictor: Sizes of the action-conditioned predictor.
        pretrain: Configuration of stage one; None if the encoder is already trained.
        train: Configuration of stage two.
        goal_policy: Sizes of the goal policy, or None.
    """

    name: str
    encoder: EncoderConfig | PatchFeaturesConfig
    mask_predictor: PredictorConfig | None
    ac_predictor: ACPredictorConfig
    pretrain: PretrainConfig | None
    train: TrainConfig
    goal_policy: GoalPolicyConfig | None = None


PRESETS: Registry[Preset] = Registry("preset", Preset)


def _published(name: str, encoder: EncoderConfig) -> Preset:
    """A published size of V-JEPA 2, with its predictors and schedules."""
    return Preset(
        name=name,
        encoder=encoder,
        mask_predictor=PredictorConfig(),
        ac_predictor=ACPredictorConfig(),
        pretrain=constant_recipe(encoder.image_size),
        train=AC_RECIPE,
    )


TINY_PREDICTOR = ACPredictorConfig(
    dim=192,
    depth=4,
    heads=6,
    mlp_hidden=768,
    residual=True,
    merge=2,
    action_scale=ACTION_SCALE,
    state_center=STATE_CENTER,
    state_scale=SCALE,
    state_rotation="matrix",
    rope="correct",
)

PUBLISHED = {
    preset.name: preset
    for preset in (
        _published("small", EncoderConfig(dim=384, depth=12, heads=6, mlp_hidden=1536)),
        _published("base", EncoderConfig(dim=768, depth=12, heads=12, mlp_hidden=3072)),
        _published("large", EncoderConfig(dim=1024, depth=24, heads=16, mlp_hidden=4096)),
        _published("huge", EncoderConfig(dim=1280, depth=32, heads=16, mlp_hidden=5120)),
        _published("giant", EncoderConfig(dim=1408, depth=40, heads=22, mlp_hidden=6144)),
        _published("giant-384", EncoderConfig(image_size=384, dim=1408, depth=40, heads=22, mlp_hidden=6144)),
    )
}

for _preset in (
    *PUBLISHED.values(),
    Preset(
        name="tiny",
        encoder=EncoderConfig(image_size=128, dim=128, depth=6, heads=4, mlp_hidden=512, rope="correct"),
        mask_predictor=PredictorConfig(dim=96, depth=3, heads=3, mlp_hidden=384, mask_tokens=2, rope="correct"),
        ac_predictor=TINY_PREDICTOR,
        # Each stage takes half an hour on two cores.
        pretrain=PretrainConfig(
            steps=1500,
            batch=32,
            phases=(Phase(1.0, frames=2, image_size=128),),
            strides=(1, 2, 4),
            still_tubelets=True,
            learning_rate=Schedule(1e-5, 1e-3, 1e-5, warmup=100, shape="cosine"),
            weight_decay=constant(0.04),
            ema=constant(0.99),
            max_gradient_norm=1.0,
            pixel_weight=1.0,
            state_weight=0.5,
            object_weight=1.0,
            variance_weight=0.5,
            covariance_weight=0.02,
        ),
        train=TrainConfig(
            steps=1600,
            batch=64,
            frames=4,
            learning_rate=Schedule(1e-5, 1e-3, 1e-5, warmup=100, shape="cosine"),
            weight_decay=constant(0.02),
            max_gradient_norm=1.0,
            state_weight=0.2,
            object_weight=0.2,
        ),
        goal_policy=GoalPolicyConfig(),
    ),
    # As DINO-WM: frozen patch features, no merged tokens, teacher forcing only, and no gradient from the decoders to
    # the predictor. It is trained by `vjepa-sim baseline dino-wm`.
    Preset(
        name="dino-wm",
        encoder=PatchFeaturesConfig(),
        mask_predictor=None,
        ac_predictor=replace(TINY_PREDICTOR, merge=1),
        pretrain=None,
        train=TrainConfig(
            steps=1600,
            batch=32,
            frames=4,
            learning_rate=Schedule(2e-5, 2e-3, 2e-5, warmup=100, shape="cosine"),
            weight_decay=constant(0.02),
            rollout=0,
            squared=True,
            max_gradient_norm=1.0,
            state_weight=1.0,
            object_weight=1.0,
            reading_guides=False,
        ),
    ),
):
    PRESETS.register(_preset)


@dataclass(frozen=True)
class Recipe:
    """One of V-JEPA 2's schedules of stage one.

    Attributes:
        name: Name on the command line.
        make: Makes the configuration of stage one for an image size in pixels.
    """

    name: str
    make: Callable[[int], PretrainConfig]


RECIPES: Registry[Recipe] = Registry("recipe", Recipe)
RECIPES.register(Recipe("constant", constant_recipe))
RECIPES.register(Recipe("abbreviated", abbreviated_recipe))


def get_recipe(name: str, preset: str) -> PretrainConfig:
    """Look up one of V-JEPA 2's schedules of stage one, for a preset's image size.

    Raises:
        UserError: There is no schedule or no preset of this name.
    """
    return RECIPES[name].make(PRESETS[preset].encoder.image_size)


class Scheduled(Protocol):
    """Configuration of a training run with a length and a learning rate; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def steps(self) -> int:
        """Number of training steps."""
        ...

    @property
    def batch(self) -> int:
        """Batch size."""
        ...

    @property
    def learning_rate(self) -> Schedule:
        """Schedule of the learning rate."""
        ...


AnyScheduled = TypeVar("AnyScheduled", bound=Scheduled)


def shortened(config: AnyScheduled, steps: int | None) -> AnyScheduled:
    """Shorten or stretch a configuration to another number of steps; None keeps it."""
    if steps is None:
        return config
    return replace(config, steps=steps, learning_rate=config.learning_rate.shortened(steps / config.steps))
