"""Small decoders on the encoder's tokens: what the arm's state is, where the object is, and what the picture was.

They are trained beside the mask-denoising objective. From scratch on a narrow world that objective alone forgets
small objects, since a hidden one can't be predicted; having to give them back keeps them in the tokens.
"""

from __future__ import annotations

import torch
from torch import nn

from vjepa_sim.models.encoder import EncoderConfig

STATE_CENTER = (0.45, 0.0, 0.25)  # m, the middle of where the flange goes
OBJECT_CENTER = (0.48, 0.0, 0.1)  # m, the middle of where objects are
SCALE = 0.1  # m: what the decoders count in
ACTION_SCALE = (0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5)  # m, rad, closedness: what small networks see as one
READING_ERROR = 0.07  # in that unit: how far off the hand is usually read where the camera stands as in training


class Reader(nn.Module):
    """A few numbers, read off one frame's tokens: each is narrowed, then all are looked at together."""

    def __init__(self, tokens: int, dim: int, outputs: int, width: int = 24, hidden: int = 256):
        super().__init__()
        self.narrow = nn.Linear(dim, width)
        self.hidden = nn.Linear(tokens * width, hidden)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Tokens [..., tokens, dim] to numbers [..., outputs]."""
        x = nn.functional.gelu(self.narrow(z)).flatten(-2)
        return self.out(nn.functional.gelu(self.hidden(x)))


class StateDecoder(Reader):
    """The arm's own position and grip.

    Tokens [..., tokens, dim] to [..., 4]: x, y, z in units of 10 cm from (0.45, 0, 0.25), and closedness.
    """

    def __init__(self, encoder: EncoderConfig):
        super().__init__(encoder.tokens, encoder.dim, outputs=4)


class ObjectDecoder(Reader):
    """Where the object is.

    Tokens [..., tokens, dim] to [..., 3]: x, y, z in units of 10 cm from (0.48, 0, 0.1).
    """

    def __init__(self, encoder: EncoderConfig):
        super().__init__(encoder.tokens, encoder.dim, outputs=3)


def state_target(state: torch.Tensor) -> torch.Tensor:
    """States [..., 7] in the units of :class:`StateDecoder`."""
    center = state.new_tensor(STATE_CENTER)
    return torch.cat([(state[..., :3] - center) / SCALE, state[..., 6:]], -1)


def view_shift(off: torch.Tensor) -> torch.Tensor:
    """How far a camera that was moved seems to shift everything.

    Args:
        off: from where the arm is to where it is read off the picture [..., 3], in the decoders' units.

    Returns:
        [..., 3]: nearly all of it where it is several times a reading's usual error, half where it is just that, and
        hardly anything of much less.
    """
    square = off.square().sum(-1, keepdim=True)
    return off * square / (square + READING_ERROR**2)


def unshifted(read: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """What decoders read [..., 4 or 7] less a view's shift [..., 3]: places in the arm's own frame."""
    hand, grip, thing = read[..., :3], read[..., 3:4], read[..., 4:]
    return torch.cat([hand - shift, grip, thing - shift if thing.shape[-1] else thing], -1)


def object_target(position: torch.Tensor) -> torch.Tensor:
    """Positions [..., 3] in the units of :class:`ObjectDecoder`."""
    return (position - position.new_tensor(OBJECT_CENTER)) / SCALE


def reading_error(read: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean error of numbers [..., K]: squared up to a centimetre, absolute beyond; unknown ones (NaN) are right."""
    error = nn.functional.smooth_l1_loss(read, wanted.nan_to_num(), beta=0.1, reduction="none")
    return (error * torch.isfinite(wanted)).mean()


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
