"""What released files don't hold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from vjepa_sim.checks import check_positive
from vjepa_sim.envs.errors import UserError, unknown_name

Branch = Literal["encoder", "target_encoder", "ema_encoder"]
# From the least to the most preferred.
BRANCHES: tuple[Branch, ...] = ("encoder", "target_encoder", "ema_encoder")


@dataclass(frozen=True, kw_only=True)
class ReleaseOptions:
    """Facts on released weights that a file doesn't hold; None leaves each to the file and to the known releases.

    Attributes:
        branch: encoder of a file: encoder, or the moving average target_encoder (V-JEPA 2) or ema_encoder (2.1), which
            is taken where there is one. The action-conditioned model was trained on it; Meta's hub functions of
            V-JEPA 2 and Hugging Face's files have the other.
        image_size: height and width of the input in pixels; 384 if the file's name contains it, else 256.
        heads: attention heads of the encoder; known for the sizes that Meta released.
        predictor_heads: attention heads of the predictor; known for the sizes that Meta released.
        extrinsics: whether the action-conditioned predictor takes camera poses; by default whether its weights for
            them were trained (their bias, zero at first, isn't).
        rotary: whether positions are rotary although the file holds learned ones too, as files of V-JEPA 2 may.
    """

    branch: str | None = None
    image_size: int | None = None
    heads: int | None = None
    predictor_heads: int | None = None
    extrinsics: bool | None = None
    rotary: bool | None = None

    def __post_init__(self) -> None:
        if self.branch is not None and self.branch not in BRANCHES:
            raise unknown_name("branch", self.branch, BRANCHES)
        check_positive(self, *(name for name in ("image_size", "heads", "predictor_heads") if name in self.given()))
        if self.rotary is False:
            raise UserError(
                "Models with learned positions (V-JEPA 1) can't be loaded: vjepa-sim's encoders have rotary ones."
            )

    def given(self) -> list[str]:
        """Names of the facts that are stated."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]
