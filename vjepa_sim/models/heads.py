"""Small decoders of latents: the arm's position and grip, the object's position, and the image.

They are trained beside the mask-denoising objective. From scratch and on little data, that objective alone drops small
objects from the latents, since a masked one can't be predicted; the decoders' losses keep them.
"""

from __future__ import annotations

import torch
from torch import nn

from vjepa_sim.models.encoder import EncoderConfig

STATE_CENTER = (0.45, 0.0, 0.25)  # m; centre of the flange's workspace
OBJECT_CENTER = (0.48, 0.0, 0.1)  # m; centre of the objects' workspace
SCALE = 0.1  # m; unit of decoded positions
ACTION_SCALE = (0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5)  # m, rad, closedness; actions are divided by it in small networks
READING_ERROR = 0.07  # in units of SCALE; usual error of the decoded flange position with the camera of the training


class Reader(nn.Module):
    """A small network that decodes a few numbers from the tokens of one frame."""

    def __init__(self, tokens: int, dim: int, outputs: int, *, width: int = 24, hidden: int = 256):
        super().__init__()
        self.narrow = nn.Linear(dim, width)
        self.hidden = nn.Linear(tokens * width, hidden)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents [..., tokens, dim] to [..., outputs]."""
        x = nn.functional.gelu(self.narrow(z)).flatten(-2)
        return self.out(nn.functional.gelu(self.hidden(x)))


class StateDecoder(Reader):
    """Decoder of the flange's position and the gripper's closedness.

    Latents [..., tokens, dim] to [..., 4]: x, y, z in units of 10 cm from (0.45, 0, 0.25), and closedness.
    """

    def __init__(self, encoder: EncoderConfig):
        super().__init__(encoder.tokens, encoder.dim, outputs=4)


class ObjectDecoder(Reader):
    """Decoder of the object's position.

    Latents [..., tokens, dim] to [..., 3]: x, y, z in units of 10 cm from (0.48, 0, 0.1).
    """

    def __init__(self, encoder: EncoderConfig):
        super().__init__(encoder.tokens, encoder.dim, outputs=3)


def state_target(state: torch.Tensor) -> torch.Tensor:
    """Convert states [..., 7] to the units of :class:`StateDecoder`, [..., 4]."""
    center = state.new_tensor(STATE_CENTER)
    return torch.cat([(state[..., :3] - center) / SCALE, state[..., 6:]], -1)


def view_shift(off: torch.Tensor) -> torch.Tensor:
    """Estimate the shift of all decoded positions by a camera that was moved since the training.

    Args:
        off: Vector from the measured to the decoded position of the flange [..., 3], in the decoders' units.

    Returns:
        The vector [..., 3], shrunk: hardly at all if it is several times the usual decoding error, to half if it is
        equal to that, and to nearly 0 if it is much smaller.
    """
    square = off.square().sum(-1, keepdim=True)
    return off * square / (square + READING_ERROR**2)


def unshifted(read: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Subtract a shift [..., 3] from decoded positions [..., 4 or 7], see :func:`view_shift`."""
    flange, grip, item = read[..., :3], read[..., 3:4], read[..., 4:]
    return torch.cat([flange - shift, grip, item - shift if item.shape[-1] else item], -1)


def object_target(position: torch.Tensor) -> torch.Tensor:
    """Convert positions [..., 3] in metres to the units of :class:`ObjectDecoder`."""
    return (position - position.new_tensor(OBJECT_CENTER)) / SCALE


def reading_error(read: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean error of decoded numbers [..., K]: squared up to a centimetre, absolute beyond; 0 where unknown (NaN)."""
    error = nn.functional.smooth_l1_loss(read, wanted.nan_to_num(), beta=0.1, reduction="none")
    return (error * torch.isfinite(wanted)).mean()


class PixelDecoder(nn.Module):
    """Decoder of images: one linear map from each token to its patch."""

    def __init__(self, encoder: EncoderConfig):
        super().__init__()
        self.patch = encoder.patch_size
        self.grid = encoder.grid
        self.out = nn.Linear(encoder.dim, 3 * encoder.patch_size**2)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents [B, tokens, dim] to normalised images [B, 3, H, W]."""
        patches = self.out(z).view(len(z), self.grid, self.grid, 3, self.patch, self.patch)
        return patches.permute(0, 3, 1, 4, 2, 5).reshape(len(z), 3, self.grid * self.patch, self.grid * self.patch)
