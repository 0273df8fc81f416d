"""Recordings of a camera that saw nothing: black, white, dark, uniform, or frozen while the arm moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim.envs.cameras.image_check import MOVED, UNIFORM, FrozenCheck, image_fault
from vjepa_sim.envs.pose import POSITION

# Share of an episode's images. Fewer bad ones are a camera that starts late or lost a frame, and a person may look;
# with more, a model would learn from nothing.
MOST_BAD = 0.1
FEWEST_FROZEN = 3  # images in a row; a single repeated one is a lost frame


@dataclass(frozen=True)
class ImageFault:
    """What is wrong with an episode's images.

    Attributes:
        what: The fault, with numbers.
        first: Number of the first bad image among those examined.
        share: Share of the bad images.
    """

    what: str
    first: int
    share: float

    @property
    def spoils(self) -> bool:
        """Whether nothing can be learned from the episode."""
        return self.share > MOST_BAD


def find_image_fault(grey: np.ndarray, states: np.ndarray) -> ImageFault | None:
    """What is wrong with a camera's images, each episode judged by itself; None if they are good.

    Args:
        grey: Grey levels [T, h, w] of all images, or of some in order.
        states: The states [T, 7] at these images.
    """
    found = [each for each in (_empty(grey), _frozen(grey, states[:, POSITION])) if each is not None]
    if not found:
        return None
    worst = max(found, key=lambda fault: fault.share)
    return replace(worst, what="; ".join(fault.what for fault in found))


def _empty(grey: np.ndarray) -> ImageFault | None:
    faults = [image_fault(image) for image in grey]
    one_colour = [row for row, fault in enumerate(faults) if fault == "of one colour"]
    # A covered lens or a missing signal keeps its colour; a scene that changes is none.
    if one_colour and np.ptp([float(grey[row].mean()) for row in one_colour]) > 2 * UNIFORM:
        faults = ["" if fault == "of one colour" else fault for fault in faults]
    bad = [row for row, fault in enumerate(faults) if fault]
    if not bad:
        return None
    names = " or ".join(dict.fromkeys(faults[row] for row in bad))
    share = len(bad) / len(faults)
    return ImageFault(f"{share:.0%} of its images are {names}", bad[0], share)


def _frozen(grey: np.ndarray, positions: np.ndarray) -> ImageFault | None:
    check = FrozenCheck()
    moved = np.array([check.add(image, position) for image, position in zip(grey, positions, strict=True)])
    # A stretch without change begins where the distance is 0, and counts as a whole if the arm has moved far.
    begins = [0, *(np.flatnonzero(moved[1:] == 0) + 1).tolist()]
    stretches = [
        (first, last)
        for first, last in zip(begins, [*begins[1:], len(moved)], strict=True)
        if last - first >= FEWEST_FROZEN and moved[first:last].max() >= MOVED
    ]
    if not stretches:
        return None
    share = sum(last - first for first, last in stretches) / len(moved)
    longest = max(float(moved[first:last].max()) for first, last in stretches)
    return ImageFault(
        f"the image does not change in {share:.0%} of the episode, while the flange moves by {100 * longest:.0f} cm",
        stretches[0][0],
        share,
    )
