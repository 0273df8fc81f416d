"""Registries of the kinds of networks of a :class:`.WorldModel`, by their names on cards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.denoiser import Denoiser, DenoiserConfig
from vjepa_sim.models.encoder import Encoder, EncoderConfig
from vjepa_sim.models.encoder_2_1 import Encoder21, Encoder21Config, Predictor21, Predictor21Config
from vjepa_sim.models.heads import PixelDecoder
from vjepa_sim.models.interfaces import ImageEncoder, LatentPredictor
from vjepa_sim.models.mask_predictor import Predictor, PredictorConfig
from vjepa_sim.models.one_token import OneTokenConfig, OneTokenEncoder, TokenPredictor, TokenPredictorConfig
from vjepa_sim.models.patch_features import PatchFeatures, PatchFeaturesConfig
from vjepa_sim.models.tokeniser import TokeniserConfig, TokeniserDecoder, TokeniserEncoder

OURS = "v-jepa-2"  # kind on cards that name none
NEWER = "v-jepa-2-1"


@dataclass(frozen=True)
class EncoderSpec:
    """A kind of encoder.

    Attributes:
        name: Name on cards: ``kind`` of the configuration.
        config: Dataclass of the sizes; it has ``image_size``, ``tokens`` and ``dim``.
        network: Makes the untrained encoder from its configuration.
        pixel_decoder: Makes an untrained decoder of latents [B, tokens, dim] to normalised images [B, 3, H, W] from the
            encoder's configuration; None if there is no such decoder.
    """

    name: str
    config: type
    network: Callable[[Any], ImageEncoder]
    pixel_decoder: Callable[[Any], nn.Module] | None = None


@dataclass(frozen=True)
class PredictorSpec:
    """A kind of predictor.

    Attributes:
        name: Name on cards: ``kind`` of the configuration.
        config: Dataclass of the sizes.
        network: Makes the untrained predictor from its own and the encoder's configuration.
        encoders: Names of the kinds of encoders whose latents it predicts.
    """

    name: str
    config: type
    network: Callable[[Any, Any], LatentPredictor]
    encoders: tuple[str, ...]


@dataclass(frozen=True)
class MaskPredictorSpec:
    """A kind of mask predictor.

    Attributes:
        name: Name on cards: ``kind`` of the configuration.
        config: Dataclass of the sizes.
        network: Makes the untrained mask predictor from its own and the encoder's configuration.
    """

    name: str
    config: type
    network: Callable[[Any, Any], Predictor]


ENCODERS: Registry[EncoderSpec] = Registry("encoder", EncoderSpec)
PREDICTORS: Registry[PredictorSpec] = Registry("predictor", PredictorSpec)
MASK_PREDICTORS: Registry[MaskPredictorSpec] = Registry("mask predictor", MaskPredictorSpec)


def make_encoder(config: Any) -> ImageEncoder:
    """Make an untrained encoder from its configuration."""
    return encoder_spec(config).network(config)


def make_predictor(config: Any, encoder: Any) -> LatentPredictor:
    """Make an untrained predictor from its own and the encoder's configuration.

    Raises:
        UserError: The predictor doesn't fit the kind or the sizes of the encoder.
    """
    spec = next(spec for spec in PREDICTORS.values() if type(config) is spec.config)
    if encoder_spec(encoder).name not in spec.encoders:
        raise UserError(f"{type(config).__name__} can't predict latents of {type(encoder).__name__}.")
    return spec.network(config, encoder)


def make_mask_predictor(config: PredictorConfig, encoder: Any) -> Predictor:
    """Make an untrained mask predictor from its own and the encoder's configuration."""
    return next(spec for spec in MASK_PREDICTORS.values() if type(config) is spec.config).network(config, encoder)


def make_pixel_decoder(config: Any) -> nn.Module | None:
    """Make an untrained pixel decoder from the encoder's configuration; None if there is no such decoder."""
    make = encoder_spec(config).pixel_decoder
    return None if make is None else make(config)


def encoder_spec(config: Any) -> EncoderSpec:
    """Find the kind of encoder that a configuration belongs to."""
    return next(spec for spec in ENCODERS.values() if type(config) is spec.config)


for _encoder in (
    EncoderSpec(OURS, EncoderConfig, Encoder, PixelDecoder),
    EncoderSpec(NEWER, Encoder21Config, Encoder21, PixelDecoder),
    EncoderSpec("one-token", OneTokenConfig, OneTokenEncoder),
    EncoderSpec("patch-features", PatchFeaturesConfig, PatchFeatures),
    EncoderSpec("tokeniser", TokeniserConfig, TokeniserEncoder, TokeniserDecoder),
):
    ENCODERS.register(_encoder)
for _predictor in (
    PredictorSpec(OURS, ACPredictorConfig, ACPredictor, (OURS, NEWER, "patch-features")),
    PredictorSpec("one-token", TokenPredictorConfig, TokenPredictor, ("one-token",)),
    PredictorSpec("denoiser", DenoiserConfig, Denoiser, ("tokeniser",)),
):
    PREDICTORS.register(_predictor)
for _mask_predictor in (
    MaskPredictorSpec(OURS, PredictorConfig, Predictor),
    MaskPredictorSpec(NEWER, Predictor21Config, Predictor21),
):
    MASK_PREDICTORS.register(_mask_predictor)
