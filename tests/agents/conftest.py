"""A planner's model that is quick."""

from dataclasses import replace

import pytest
import torch

from vjepa_sim.card import ModelCard
from vjepa_sim.models.goal_policy import GoalPolicyConfig
from vjepa_sim.training.presets import PRESETS
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel


@pytest.fixture(scope="session")
def untrained():
    """Small, untrained, with every part."""
    torch.manual_seed(0)
    sizes = PRESETS["tiny"]
    encoder = replace(sizes.encoder, image_size=64, dim=24, depth=1, heads=2, mlp_hidden=32)
    predictor = replace(sizes.ac_predictor, dim=48, depth=1, heads=2, mlp_hidden=32)
    card = ModelCard(
        name="test",
        encoder=encoder,
        transform=ImageTransform(64),
        predictor=predictor,
        object_decoder=True,
        period=0.25,
        goal_policy=GoalPolicyConfig(hidden=16, depth=1, looks=2),
    )
    model = WorldModel(card)
    for parameter in model.predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()
