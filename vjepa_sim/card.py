"""The card of a checkpoint: architecture, requirements, training data and measurements."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from vjepa_sim.checks import check_numbers, check_types
from vjepa_sim.data.files import read_json_object
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.models.goal_policy import GoalPolicyConfig
from vjepa_sim.models.mask_predictor import PredictorConfig
from vjepa_sim.networks import ENCODERS, MASK_PREDICTORS, OURS, PREDICTORS
from vjepa_sim.transform import ImageTransform

STATE_CONVENTION = "flange x y z [m], extrinsic xyz Euler [rad], closedness"
GRIPPER_CONVENTION = "0 open, 1 closed"
# Keys in a card's training: compute time of a run, or of all runs together, see Compute.spent; checkpoint and training
# of --start of stage two; and the same of stage one.
COMPUTE_SECONDS, BEGUN_WITH, ENCODER_BEGUN_WITH = "compute_seconds", "begun_with", "encoder_begun_with"

AnyCard = TypeVar("AnyCard", bound="Card")


@dataclass(frozen=True, kw_only=True)
class Card:
    """Card of a checkpoint of any kind.

    Attributes:
        what: Kind of checkpoint, in words.
        kinds: Registries of the kinds of configurations, by field.
        name: Name of the checkpoint.
        transform: Transform from camera images to the input.
        period: Seconds between two frames; None for models without actions.
        state, gripper: Conventions of states and actions.
        data: One record per data set: source, numbers of episodes and frames, seeds.
        training: Settings of the training runs.
        measured: Measurements by name.
        license: License of the weights.
    """

    what: ClassVar[str] = "checkpoint"
    kinds: ClassVar[dict[str, Registry]] = {}
    name: str
    transform: ImageTransform
    period: float | None = None
    state: str = STATE_CONVENTION
    gripper: str = GRIPPER_CONVENTION
    data: tuple[dict, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    license: str = "MIT"

    def __post_init__(self) -> None:
        if self.period is not None:
            check_numbers(self, "period", above=0)
        if not isinstance(self.data, tuple) or not all(isinstance(record, dict) for record in self.data):
            raise UserError("The card's data must be a list of records.")
        for record in self.data:
            for name, kind in (("seeds", int), ("grippers", str), ("arms", str)):
                values = record.get(name, [])
                if not isinstance(values, list) or not all(type(value) is kind for value in values):
                    raise UserError(f"The card's data has {name} {values!r:.80}; expected a list of {kind.__name__}.")
        check_types(self, name=str, license=str, training=dict, measured=dict)

    def to_json(self) -> str:
        """Write the card as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def training_seeds(self) -> set[int]:
        """Environment seeds of the training data."""
        return {int(seed) for source in self.data for seed in source.get("seeds", [])}

    def grippers(self) -> set[str]:
        """Grippers in the training data; empty if unknown."""
        return {name for source in self.data for name in source.get("grippers", [])}

    def arms(self) -> set[str]:
        """Arms in the training data; empty if unknown."""
        return {name for source in self.data for name in source.get("arms", [])}

    def misfits(self, period: float, size: int, *, arm: str, gripper: str) -> dict[str, str]:
        """Find differences between an arm with its camera and the requirements of this model.

        Args:
            period: Control period of the arm in seconds.
            size: Shorter side of the camera's images in pixels.
            arm: Name of the arm.
            gripper: Name of its gripper.

        Returns:
            Messages by ``step``, ``picture``, ``arm`` and ``gripper``; empty if everything fits. Data whose arm or
            gripper is unknown fit any.
        """
        found = {}
        if self.period is None or abs(self.period - period) > 0.01 * period:
            found["step"] = (
                f"Checkpoint {self.name!r} was trained for steps of {self.period} s; the environment's are {period} s."
            )
        if size < self.transform.size:
            found["picture"] = (
                f"Checkpoint {self.name!r} needs images of {self.transform.size} pixels; the camera's have {size}. "
                f"Give --size {self.transform.size} or more."
            )
        if self.arms() and arm not in self.arms():
            found["arm"] = (
                f"Checkpoint {self.name!r} was trained with the arm {', '.join(sorted(self.arms()))}; this is {arm}."
            )
        if self.grippers() and gripper not in self.grippers():
            found["gripper"] = (
                f"Checkpoint {self.name!r} was trained with {', '.join(sorted(self.grippers()))}; the arm has "
                f"{gripper}."
            )
        return found

    def check_fit(self, period: float, size: int, *, arm: str, gripper: str) -> None:
        """Check that an arm and its camera meet the requirements of this model; see :meth:`misfits`.

        Raises:
            UserError: They don't; the error names both sides.
        """
        for misfit in self.misfits(period, size, arm=arm, gripper=gripper).values():
            raise UserError(misfit)


@dataclass(frozen=True, kw_only=True)
class ModelCard(Card):
    """Card of a world model.

    Attributes:
        encoder: Sizes of the encoder.
        predictor: Sizes of the action-conditioned predictor; None after stage one.
        mask_predictor: Sizes of stage one's predictor; None after stage two.
        decoders: Whether there are decoders of the arm's state and of pixels.
        object_decoder: Whether there is a decoder of the object's position.
        goal_policy: Sizes of the policy toward goal images, or None.
    """

    what: ClassVar[str] = "world model"
    kinds: ClassVar[dict[str, Registry]] = {
        "encoder": ENCODERS,
        "predictor": PREDICTORS,
        "mask_predictor": MASK_PREDICTORS,
    }
    encoder: Any
    predictor: Any = None
    mask_predictor: PredictorConfig | None = None
    decoders: bool = True
    object_decoder: bool = False
    goal_policy: GoalPolicyConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_types(self, decoders=bool, object_decoder=bool)
        for name, registry in self.kinds.items():
            config = getattr(self, name)
            if config is not None and not any(type(config) is spec.config for spec in registry.values()):
                raise UserError(f"The card's {name} is {config!r:.80}; expected the sizes of one.")
        if not isinstance(self.goal_policy, GoalPolicyConfig | None):
            raise UserError(f"The card's goal_policy is {self.goal_policy!r:.80}; expected the sizes of one, or null.")
        if self.transform.size != self.encoder.image_size:
            raise UserError(
                f"The card's transform makes images of {self.transform.size} pixels; its encoder takes "
                f"{self.encoder.image_size}."
            )
        if self.goal_policy is not None and not self.decoders:
            raise UserError("A goal policy needs the decoder of the arm's state.")


def joined(data: tuple[dict, ...], more: tuple[dict, ...]) -> tuple[dict, ...]:
    """Concatenate records of data sets, without duplicates."""
    return (*data, *(record for record in more if record not in data))


def read_card(path: Path, kind: type[AnyCard] = ModelCard) -> AnyCard:
    """Read a card.

    Args:
        path: File of the card.
        kind: Class of the card.

    Raises:
        UserError: The card is missing, damaged, or has fields that this version doesn't know.
    """
    content = read_json_object(path)
    try:
        card = _from_dict(kind, content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        if kind is ModelCard and "policy" in content:
            raise UserError(
                f"{path}: this is the card of a cloned policy, with which `vjepa-sim eval --agent bc` acts; expected a "
                "world model's."
            ) from error
        if kind is not ModelCard and "encoder" in content:
            raise UserError(f"{path}: this is the card of a world model; expected a {kind.what}.") from error
        raise UserError(
            f"{path}: this is not the card of a {kind.what}, or of another version of vjepa-sim ({error})."
        ) from error
    for name, ours in (("state", STATE_CONVENTION), ("gripper", GRIPPER_CONVENTION)):
        if getattr(card, name) != ours:
            raise UserError(
                f"{path}: the model's {name} convention is {getattr(card, name)!r}; vjepa-sim's is {ours!r}."
            )
    return card


def _from_dict(kind: type[AnyCard], values: dict) -> AnyCard:
    """Make a card and its configurations from JSON values."""
    _check_fields(kind, values)
    hints = get_type_hints(kind)
    return kind(**{name: _from_json(hints[name], value, kind.kinds.get(name)) for name, value in values.items()})


def _from_json(hint: Any, value: Any, kinds: Registry | None) -> Any:
    if kinds is not None and isinstance(value, dict):
        return _config_from_dict(kinds[value.get("kind", OURS)].config, value)
    for kind in (hint, *get_args(hint)):
        if is_dataclass(kind) and isinstance(value, dict):
            return _config_from_dict(kind, value)
    return tuple(value) if isinstance(value, list) else value


def _config_from_dict(kind: Any, values: dict) -> Any:
    """Make a configuration and those within it from JSON values."""
    _check_fields(kind, values)
    hints = get_type_hints(kind)
    return kind(**{name: _from_json(hints[name], value, None) for name, value in values.items()})


def _check_fields(kind: type, values: dict) -> None:
    unknown = sorted(set(values) - {each.name for each in fields(kind)})
    if unknown:
        raise KeyError(f"unknown {kind.__name__} fields {unknown}")
