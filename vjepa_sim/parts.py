"""Which network a configuration on a card stands for.

An encoder makes latents [B, tokens, dim] of normalised pictures by ``still``; a predictor says by ``imagine`` which
latents actions lead to.
"""

from __future__ import annotations

from torch import nn

from envs.errors import UserError
from vjepa_sim.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.encoder import Encoder, EncoderConfig
from vjepa_sim.heads import PixelDecoder
from vjepa_sim.others.denoiser import Denoiser, DenoiserConfig
from vjepa_sim.others.one_token import OneTokenConfig, OneTokenEncoder, TokenPredictor, TokenPredictorConfig
from vjepa_sim.others.patch_features import PatchFeatures, PatchFeaturesConfig
from vjepa_sim.others.tokeniser import TokeniserConfig, TokeniserDecoder, TokeniserEncoder

AnyEncoderConfig = EncoderConfig | OneTokenConfig | PatchFeaturesConfig | TokeniserConfig
AnyPredictorConfig = ACPredictorConfig | TokenPredictorConfig | DenoiserConfig

ENCODERS = {
    EncoderConfig: Encoder,
    OneTokenConfig: OneTokenEncoder,
    PatchFeaturesConfig: PatchFeatures,
    TokeniserConfig: TokeniserEncoder,
}
PREDICTORS = {ACPredictorConfig: ACPredictor, TokenPredictorConfig: TokenPredictor, DenoiserConfig: Denoiser}
FITTING = {
    ACPredictorConfig: (EncoderConfig, PatchFeaturesConfig),
    TokenPredictorConfig: (OneTokenConfig,),
    DenoiserConfig: (TokeniserConfig,),
}  # encoders whose latents a predictor takes
PIXEL_DECODERS = {
    EncoderConfig: PixelDecoder,
    TokeniserConfig: TokeniserDecoder,
}  # the others' latents don't give pictures back


def make_encoder(config: AnyEncoderConfig) -> nn.Module:
    """The encoder of these sizes, untrained."""
    return ENCODERS[type(config)](config)


def make_predictor(config: AnyPredictorConfig, encoder: AnyEncoderConfig) -> nn.Module:
    """The predictor of these sizes for an encoder's latents, untrained.

    Raises:
        UserError: it takes no latents of this kind, or of these sizes.
    """
    if not isinstance(encoder, FITTING[type(config)]):
        raise UserError(f"{type(config).__name__} predicts no latents of {type(encoder).__name__}.")
    return PREDICTORS[type(config)](config, encoder)


def make_pixel_decoder(config: AnyEncoderConfig) -> nn.Module | None:
    """What gives pictures back of an encoder's latents, untrained; None where nothing does."""
    return PIXEL_DECODERS[type(config)](config) if type(config) in PIXEL_DECODERS else None
