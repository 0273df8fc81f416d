"""Which network a configuration on a card stands for.

An encoder makes latents [B, tokens, dim] of normalised pictures by ``still``; a predictor says by ``imagine`` which latents
actions lead to.
"""

from __future__ import annotations

from torch import nn

from vjepa_sim.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.encoder import Encoder, EncoderConfig
from vjepa_sim.one_token import OneTokenConfig, OneTokenEncoder, TokenPredictor, TokenPredictorConfig
from vjepa_sim.patch_features import PatchFeatures, PatchFeaturesConfig

AnyEncoderConfig = EncoderConfig | OneTokenConfig | PatchFeaturesConfig
AnyPredictorConfig = ACPredictorConfig | TokenPredictorConfig

ENCODERS = {EncoderConfig: Encoder, OneTokenConfig: OneTokenEncoder, PatchFeaturesConfig: PatchFeatures}
PREDICTORS = {ACPredictorConfig: ACPredictor, TokenPredictorConfig: TokenPredictor}


def make_encoder(config: AnyEncoderConfig) -> nn.Module:
    """The encoder of these sizes, untrained."""
    return ENCODERS[type(config)](config)


def make_predictor(config: AnyPredictorConfig, encoder: AnyEncoderConfig) -> nn.Module:
    """The predictor of these sizes for an encoder's latents, untrained."""
    return PREDICTORS[type(config)](config, encoder)
