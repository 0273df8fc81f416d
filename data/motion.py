"""Motion in an episode: the arm's from states, and the image's from frames."""

from __future__ import annotations

import numpy as np

from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION

# A step is idle if arm and fingers move less than measurement noise.
IDLE_METRES = 0.001
IDLE_RADIANS = 0.01
IDLE_CLOSEDNESS = 0.01
IDLE_RULE = (
    f"a step is idle if the arm moves < {IDLE_METRES * 1000:g} mm, turns < {IDLE_RADIANS} rad, "
    f"and its closedness changes < {IDLE_CLOSEDNESS}"
)
SHORT_SIDE = 64  # pixels of reduced images: enough for a gripper, while most sensor noise averages out
NOISE_FLOOR = 2.0  # grey levels that a codec changes in a still image
CHUNK = 64  # frames decoded at once


def idle(steps: np.ndarray) -> np.ndarray:
    """Whether steps [N, 7] (see :func:`.difference`) are idle, bool [N]; see :data:`IDLE_RULE`."""
    moved = np.linalg.norm(steps[:, POSITION], axis=1)
    turned = np.linalg.norm(steps[:, ROTATION], axis=1)
    return (moved < IDLE_METRES) & (turned < IDLE_RADIANS) & (np.abs(steps[:, GRIPPER]) < IDLE_CLOSEDNESS)


def stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """Runs of true values in a mask [N]: pairs of first index and one past the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def small_grey(frames: np.ndarray | LazyFrames) -> np.ndarray:
    """Grey images uint8 [T, h, w], the shorter side reduced to :data:`SHORT_SIDE` pixels, of uint8 [T, H, W, 3]."""
    from PIL import Image

    if isinstance(frames, LazyFrames):
        frames = frames.reduced(SHORT_SIDE)
    height, width = frames.shape[1:3]
    scale = min(1.0, SHORT_SIDE / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.empty((len(frames), size[1], size[0]), np.uint8)
    for start in range(0, len(frames), CHUNK):
        for row, frame in enumerate(frames[start : start + CHUNK], start):
            small[row] = np.asarray(Image.fromarray(frame).convert("L").resize(size, Image.Resampling.BOX))
    return small


def frame_differences(grey: np.ndarray) -> np.ndarray:
    """Absolute change of every pixel from each row to the next, float32 [T - 1, h, w], grey levels."""
    return np.abs(np.diff(grey.astype(np.float32), axis=0))


def motion_energy(differences: np.ndarray) -> np.ndarray:
    """Differences [N, h, w] above the background's: three times the median pixel's, since most of an image is still."""
    background = np.maximum(3 * np.median(differences, axis=(1, 2), keepdims=True), NOISE_FLOOR)
    return np.maximum(differences - background, 0)
