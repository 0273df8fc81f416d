"""Videos of episodes: the camera's images beside the current goal image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vjepa_sim.agents.evaluation.statistics import EpisodeScore
from vjepa_sim.data.video import write_video
from vjepa_sim.envs.observation import Goal, Observation

CORNER, FONT_SIZE = 5, 12  # pixels
INK, OUTLINE = (255, 255, 255), (0, 0, 0)


def side_by_side(observation: Observation, goals: list[Goal], current: int) -> np.ndarray:
    """Place an observation beside a goal, each with a caption.

    Args:
        observation: observation.
        goals: all goals.
        current: index of the goal to show.

    Returns:
        Image, uint8 [H, 2 W, 3].
    """
    image = Image.fromarray(np.concatenate([observation.rgb, goals[current].rgb], 1))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_SIZE)
    goal = "goal" if len(goals) == 1 else f"goal {current + 1} of {len(goals)}"
    for x, name in ((0, "now"), (image.width // 2, goal)):
        draw.text((x + CORNER, CORNER), name, fill=INK, font=font, stroke_width=1, stroke_fill=OUTLINE)
    return np.asarray(image)


class EpisodeVideos:
    """Collects videos of one task and object, failures first, up to a maximum number.

    Args:
        limit: maximum number of videos.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._kept: dict[bool, list[tuple[int, np.ndarray]]] = {False: [], True: []}

    def add(self, score: EpisodeScore, frames: np.ndarray) -> None:
        """Keep an episode's frames, uint8 [T, H, W, 3], unless enough of its outcome are kept."""
        kept = self._kept[score.success]
        if len(kept) < self._limit:
            kept.append((score.seed, frames))

    def write(self, folder: Path, name: str, rate: float) -> None:
        """Write the videos; their file names sort failures first.

        Args:
            folder: folder, made if there is something to write.
            name: part of the file names.
            rate: frames per second.
        """
        chosen = [(success, *each) for success in (False, True) for each in self._kept[success]][: self._limit]
        for success, seed, frames in chosen:
            folder.mkdir(parents=True, exist_ok=True)
            outcome = "1_success" if success else "0_failure"
            write_video(folder / f"{outcome}_{name}_seed{seed}.mp4", frames, rate=rate, quality=20)
