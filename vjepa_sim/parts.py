"""The kinds of encoders and predictors that a world model of ours is made of, by the names that cards give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from vjepa_sim.baselines.denoiser import Denoiser, DenoiserConfig
from vjepa_sim.baselines.one_token import OneTokenConfig, OneTokenEncoder, TokenPredictor, TokenPredictorConfig
from vjepa_sim.baselines.patch_features import PatchFeatures, PatchFeaturesConfig
from vjepa_sim.baselines.tokeniser import TokeniserConfig, TokeniserDecoder, TokeniserEncoder
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.encoder import Encoder, EncoderConfig
from vjepa_sim.models.heads import PixelDecoder

OURS = "v-jepa-2"  # what a card means that names no kind


@dataclass(frozen=True)
class EncoderSpec:
    """A kind of encoder.

    Attributes:
        name: as on cards: the configuration's ``kind``.
        config: the dataclass of its sizes; has ``image_size``, ``tokens`` and ``dim``.
        network: made from the configuration; its method ``still`` makes latents [B, tokens, dim] of normalised images
            [B, 3, H, W].
        pixel_decoder: made from the configuration, gives normalised images [B, 3, H, W] back of latents; None where
            nothing does.
    """

    name: str
    config: type
    network: Callable[[Any], nn.Module]
    pixel_decoder: Callable[[Any], nn.Module] | None = None


@dataclass(frozen=True)
class PredictorSpec:
    """A kind of predictor.

    Attributes:
        name: as on cards: the configuration's ``kind``.
        config: the dataclass of its sizes.
        network: made from its own and the encoder's configuration; its method ``imagine`` says which latents actions
            lead to, see :meth:`.ACPredictor.imagine`.
        encoders: kinds of encoders whose latents it takes.
    """

    name: str
    config: type
    network: Callable[[Any, Any], nn.Module]
    encoders: tuple[str, ...]


ENCODERS: Registry[EncoderSpec] = Registry("encoder")
PREDICTORS: Registry[PredictorSpec] = Registry("predictor")


def make_encoder(config: Any) -> nn.Module:
    """The encoder of these sizes, untrained."""
    return encoder_spec(config).network(config)


def make_predictor(config: Any, encoder: Any) -> nn.Module:
    """The predictor of these sizes for an encoder's latents, untrained.

    Raises:
        UserError: it takes no latents of this kind, or of these sizes.
    """
    spec = next(spec for spec in PREDICTORS.values() if isinstance(config, spec.config))
    if encoder_spec(encoder).name not in spec.encoders:
        raise UserError(f"{type(config).__name__} predicts no latents of {type(encoder).__name__}.")
    return spec.network(config, encoder)


def make_pixel_decoder(config: Any) -> nn.Module | None:
    """What gives images back of an encoder's latents, untrained; None where nothing does."""
    make = encoder_spec(config).pixel_decoder
    return None if make is None else make(config)


def encoder_spec(config: Any) -> EncoderSpec:
    """The kind of encoder that a configuration is of."""
    return next(spec for spec in ENCODERS.values() if isinstance(config, spec.config))


for _encoder in (
    EncoderSpec(OURS, EncoderConfig, Encoder, PixelDecoder),
    EncoderSpec("one-token", OneTokenConfig, OneTokenEncoder),
    EncoderSpec("patch-features", PatchFeaturesConfig, PatchFeatures),
    EncoderSpec("tokeniser", TokeniserConfig, TokeniserEncoder, TokeniserDecoder),
):
    ENCODERS.register(_encoder)
for _predictor in (
    PredictorSpec(OURS, ACPredictorConfig, ACPredictor, (OURS, "patch-features")),
    PredictorSpec("one-token", TokenPredictorConfig, TokenPredictor, ("one-token",)),
    PredictorSpec("denoiser", DenoiserConfig, Denoiser, ("tokeniser",)),
):
    PREDICTORS.register(_predictor)
