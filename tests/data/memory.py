"""Data sets in memory, and clips drawn from them."""

from dataclasses import replace

import numpy as np

from tests.data.samples import make_episode
from vjepa_sim.data.formats.format import Entry, Reader
from vjepa_sim.envs.errors import UserError


def describe(name, episode):
    duration = float(episode.stamps[-1] - episode.stamps[0])
    return Entry(
        name=name,
        rows=len(episode),
        duration=duration,
        period=episode.period,
        cameras=("ext1",),
        height=32,
        width=48,
        success=episode.success,
    )


class Memory(Reader):
    """Episodes at hand; None stands for one that can't be read."""

    format = "memory"

    def __init__(self, episodes):
        self.read_numbers = []
        self.episodes = episodes
        super().__init__(
            "memory",
            [describe(str(number), episode or at_rate(4.0)) for number, episode in enumerate(episodes)],
        )

    def read(self, number, views=None, extras=False):
        self.read_numbers.append(number)
        if self.episodes[number] is None:
            raise UserError(f"episode {number} is damaged")
        return self.episodes[number]


def at_rate(rate, rows=60, seed=0):
    """An episode whose pictures tell their row."""
    frames = np.broadcast_to((4 * np.arange(rows))[:, None, None, None], (rows, 32, 48, 3)).astype(np.uint8)
    frames[:, 16:, 24:] = 255 - frames[:, 16:, 24:]  # a contrast, as images of a scene have
    episode = make_episode(rows, seed, stamps=100.0 + np.arange(rows) / rate)
    return replace(episode, cameras=(replace(episode.cameras[0], frames=frames),))


def rows_of(clip):
    return clip.frames[:, 0, 0, 0] // 4


def draws(clips, count, **named):
    return [clips.draw_clip(np.random.default_rng([3, i]), **named) for i in range(count)]
