"""Images as image viewers show them: upright, with right greys, bounded in size."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vjepa_sim.data.encoded_frames import EncodedFrames
from vjepa_sim.data.videos import ImageFolder
from vjepa_sim.envs.errors import UserError


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def both(tmp_path, content, kind):
    """As a frame of an episode, and as a file of a folder."""
    (tmp_path / f"a.{kind.lower()}").write_bytes(content)
    yield EncodedFrames("here", [content])[0]
    yield ImageFolder(tmp_path, 0.25).draw_clip(np.random.default_rng(0), 2, 1).frames[0]


# Where the bright band at the top of the stored image is shown, by EXIF's orientation.
SHOWN = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_photos_are_upright(tmp_path, kind, orientation):
    grey = np.zeros((24, 36), np.uint8)
    grey[:6] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    for rgb in both(tmp_path, encoded(Image.fromarray(grey), kind, exif=exif), kind):
        assert rgb.shape == ((24, 36, 3) if orientation < 5 else (36, 24, 3))
        sides = {"top": rgb[:5], "bottom": rgb[-5:], "left": rgb[:, :5], "right": rgb[:, -5:]}
        assert max(sides, key=lambda side: sides[side].mean()) == SHOWN[orientation]


def test_greys_of_16_bits_are_scaled_not_clipped(tmp_path):
    grey = np.linspace(0, 65535, 24 * 36).reshape(24, 36).astype(np.uint16)
    for rgb in both(tmp_path, encoded(Image.fromarray(grey)), "PNG"):
        assert np.array_equal(rgb[..., 0], np.round(grey / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG")]
)
def test_other_modes_give_their_colours(tmp_path, mode, kind):
    image = Image.new("RGB", (8, 8), (204, 102, 51))
    wanted = np.asarray(image.convert(mode).convert("RGB"))[0, 0].astype(int)
    for rgb in both(tmp_path, encoded(image.convert(mode), kind), kind):
        assert np.abs(rgb[0, 0] - wanted).max() <= 2


@pytest.mark.parametrize("side", [9_000, 13_000, 20_000])
def test_bombs_are_refused_by_their_headers(tmp_path, side):
    bomb = bytearray(encoded(Image.new("L", (8, 8))))
    bomb[16:24] = struct.pack(">II", side, side)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    (tmp_path / "a.png").write_bytes(bomb)
    with pytest.raises(UserError, match=r"frame 0: an image of .* pixels"):
        EncodedFrames("here", [bytes(bomb)])
    with pytest.raises(UserError, match=r"1 of 1 images.*pixels"):
        ImageFolder(tmp_path, 0.25).draw_clip(np.random.default_rng(0), 2, 1)
