"""Small decoders on the encoder's tokens: what the arm's state is, and what the picture was.

Both are trained beside the mask-denoising objective. From scratch on a narrow world that objective alone forgets
small objects, since a hidden one can't be predicted; having to give the picture back keeps them in the tokens.
"""

from __future__ import annotations

import torch
from torch import nn

from vjepa_sim.encoder import EncoderConfig

STATE_OUTPUTS = 4  # x, y, z, closedness
STATE_CENTER = (0.45, 0.0, 0.25)  # m, the middle of where the flange goes
STATE_SCALE = 0.1  # m


class StateDecoder(nn.Module):
    """The arm's own position and grip, read off one frame's tokens."""

    def __init__(self, encoder: EncoderConfig, width: int = 24, hidden: int = 256):
        super().__init__()
        self.narrow = nn.Linear(encoder.dim, width)
        self.hidden = nn.Linear(encoder.tokens * width, hidden)
        self.out = nn.Linear(hidden, STATE_OUTPUTS)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Tokens [..., tokens, dim] to [..., 4]: x, y, z in units of 10 cm from (0.45, 0, 0.25), and closedness."""
        x = nn.functional.gelu(self.narrow(z)).flatten(-2)
        return self.out(nn.functional.gelu(self.hidden(x)))


def state_target(state: torch.Tensor) -> torch.Tensor:
    """States [..., 7] in the units of :class:`StateDecoder`."""
    center = state.new_tensor(STATE_CENTER)
    return torch.cat([(state[..., :3] - center) / STATE_SCALE, state[..., 6:]], -1)


class PixelDecoder(nn.Module):
    """Each token's own patch of the picture, by one linear map."""

    def __init__(self, encoder: EncoderConfig):
        super().__init__()
        self.patch = encoder.patch_size
        self.grid = encoder.grid
        self.out = nn.Linear(encoder.dim, 3 * encoder.patch_size**2)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Tokens [B, tokens, dim] to normalised pictures [B, 3, H, W]."""
        patches = self.out(z).view(len(z), self.grid, self.grid, 3, self.patch, self.patch)
        return patches.permute(0, 3, 1, 4, 2, 5).reshape(len(z), 3, self.grid * self.patch, self.grid * self.patch)
