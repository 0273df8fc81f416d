"""Whether a camera's images show anything: black, white, dark, uniform or frozen ones don't.

The same measures are used on a robot, before and during an episode, and on recordings.
"""

from __future__ import annotations

import numpy as np

from vjepa_sim.envs.faults import BlindCamera

SHORT_SIDE = 64  # pixels of reduced images: enough for a gripper, while most sensor noise averages out
# Grey levels of 255. The darkest and the brightest percent of the pixels are left out, so that a printed time stamp or
# broken pixels change nothing. Of 40 fully randomised simulated scenes, the darkest reaches 167.
BLACK = 12  # a covered sensor gives 0 to 10
DARK = 32  # black is 16 in a video of limited range; a room at night stays below this
WHITE = 245  # overexposed
UNIFORM = 10  # difference of brightest and darkest; a wall out of focus has 20, simulated images 130 and more
# An image is the same while its most changed percent of pixels changes less: a codec changes a frozen image by 1 to
# 4.5, and an arm that moves by 2 cm in view changes all of 500 simulated images by more.
SAME = 6.0
MOVED = 0.1  # m by which the flange must move before the image must have changed


def reduced_grey(rgb: np.ndarray) -> np.ndarray:
    """Grey levels, float32 [h, w], of an image [H, W, 3]: means of blocks, the shorter side :data:`SHORT_SIDE` to twice
    as many pixels; smaller images keep their size.
    """
    block = max(1, min(rgb.shape[:2]) // SHORT_SIDE)
    height, width = rgb.shape[0] // block, rgb.shape[1] // block
    grey = rgb[: height * block, : width * block].mean(axis=2, dtype=np.float32)
    return grey.reshape(height, block, width, block).mean(axis=(1, 3))


def image_fault(grey: np.ndarray) -> str:
    """What an image is instead of showing something, such as ``black``; "" if nothing is wrong.

    Args:
        grey: grey levels [h, w], 0 to 255.
    """
    low, high = np.percentile(grey, (1, 99))
    if high < BLACK:
        return "black"
    if high < DARK:
        return "nearly dark"
    if low > WHITE:
        return "white"
    return "of one colour" if high - low < UNIFORM else ""


class FrozenCheck:
    """Distance that an arm moves while the image of a camera stays the same.

    Motion counts, not time: a simulated camera repeats its image exactly while nothing moves. Every image is compared
    with the one after the last change, so that a slow motion changes the image too.
    """

    def __init__(self) -> None:
        self._grey: np.ndarray | None = None
        self._position = np.zeros(3)
        self._moved = 0.0

    def add(self, grey: np.ndarray, position: np.ndarray) -> float:
        """Add the next image.

        Args:
            grey: grey levels [h, w], always of one size.
            position: position of the flange [3], metres.

        Returns:
            Largest distance in metres of the flange from where it was when the image changed last. From :data:`MOVED`
            on, the image is frozen.
        """
        grey = np.asarray(grey, np.float32)
        if self._grey is None or np.percentile(np.abs(grey - self._grey), 99) >= SAME:
            self._grey, self._position, self._moved = grey, np.array(position, float), 0.0
        self._moved = max(self._moved, float(np.linalg.norm(position - self._position)))
        return self._moved


class ImageWatch:
    """The images of a robot's camera during episodes: their size, what they show, and that they change."""

    def __init__(self, name: str):
        """
        Args:
            name: name of the camera in messages.
        """
        self._name = name
        self._shape: tuple[int, ...] | None = None
        self._frozen = FrozenCheck()

    def begin(self) -> None:
        """Begin an episode: a person may have moved the arm or the camera. The size of the images must stay."""
        self._frozen = FrozenCheck()

    def check(self, rgb: np.ndarray, position: np.ndarray) -> None:
        """Check the next image.

        Args:
            rgb: image [H, W, 3].
            position: position of the flange [3], metres.

        Raises:
            BlindCamera: its size is another than before, it shows nothing, or it is frozen.
        """
        self._shape = self._shape or rgb.shape
        if rgb.shape != self._shape:
            before, now = (f"{shape[1]} × {shape[0]}" for shape in (self._shape, rgb.shape))
            raise BlindCamera(f"{self._name} sends images of {now} pixels, before it sent {before}.")
        grey = reduced_grey(rgb)
        fault = image_fault(grey)
        if fault:
            raise BlindCamera(f"the image of {self._name} is {fault}.")
        moved = self._frozen.add(grey, position)
        if moved >= MOVED:
            raise BlindCamera(
                f"the image of {self._name} has not changed while the flange moved by {100 * moved:.0f} cm.",
                "image_unchanged",
                moved,
            )
