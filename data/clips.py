"""Frames of many episodes in memory, and clips drawn from them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from data.droid import find_episodes, read_episode
from envs import pose
from envs.errors import UserError, unknown_name

# Our own episodes in DROID's raw layout; folders of videos; folders of pictures. The last two are for stage one.
FORMATS = ("sim", "video", "images")
HELD_OUT = 0.05  # share of the episodes that is kept out of training, at least one


def parse_source(text: str) -> tuple[str, Path, float]:
    """Format, folder and weight in a data argument such as ``sim:episodes/first`` or ``video:clips@0.5``."""
    kind, separator, rest = text.partition(":")
    folder, at, share = rest.rpartition("@")
    if not at:
        folder, share = rest, "1"
    if not separator or not folder:
        raise UserError(
            f"--data {text!r}: expected FORMAT:FOLDER or FORMAT:FOLDER@WEIGHT, for example sim:episodes. "
            f"Formats: {', '.join(FORMATS)}."
        )
    if kind not in FORMATS:
        raise unknown_name("data format", kind, FORMATS)
    try:
        weight = float(share)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"--data {text!r}: the weight {share!r} is no number above 0.")
    return kind, Path(folder), weight


class Clips:
    """All frames of some episodes, one after another, and where each episode begins.

    Attributes:
        frames: uint8 [F, H, W, 3].
        states: float32 [F, 7].
        object_positions: float32 [F, 3] in metres, NaN where unknown; for probes only.
        starts: int64 [E], index of each episode's first frame.
        lengths: int64 [E].
        period: seconds between two frames.
        record: what the data were, for the card.
    """

    def __init__(
        self,
        frames: np.ndarray,
        states: np.ndarray,
        object_positions: np.ndarray,
        lengths: np.ndarray,
        period: float,
        record: dict,
    ):
        self.frames = frames
        self.states = states
        self.object_positions = object_positions
        self.lengths = lengths
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.period = period
        self.record = record
        if len(lengths) < 2:
            raise UserError(
                "Training needs at least 2 episodes: one to learn from and one to be held out. Collect more."
            )
        # Drawn, not counted off: collections cycle through tasks, and every task should be held out from.
        order = np.random.default_rng(0).permutation(len(lengths))
        held_out = max(1, round(HELD_OUT * len(lengths)))
        self.held_out_episodes, self.training_episodes = np.sort(order[:held_out]), np.sort(order[held_out:])

    @property
    def identity(self) -> dict:
        """What a resumed run compares to know that the data are still the same, JSON-compatible."""
        seeds = zlib.crc32(repr(self.record["seeds"]).encode())
        return {**{key: self.record[key] for key in ("sources", "episodes", "frames")}, "seeds_crc32": seeds}

    def __len__(self) -> int:
        return len(self.frames)

    def check_span(self, frames: int) -> None:
        """Refuse clips that are longer than every episode, of training or held out, before a run has begun.

        Raises:
            UserError: it names the longest episode.
        """
        longest = min(self.lengths[self.training_episodes].max(), self.lengths[self.held_out_episodes].max())
        if longest < frames:
            raise UserError(
                f"A clip needs {frames} frames, and the longest episodes (to learn from, and held out) have {longest}. "
                f"Collect longer ones with --steps {frames} or more."
            )

    def draw_clip(self, rng: np.random.Generator, frames: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
        """One random clip from training episodes: uint8 [frames, H, W, 3] and states [frames, 7]."""
        index = self.draw(rng, 1, frames, stride)[0]
        return self.frames[index], self.states[index]

    def draw(
        self, rng: np.random.Generator, batch: int, length: int, stride: int = 1, held_out: bool = False
    ) -> np.ndarray:
        """Frame indices [batch, length] of random clips whose frames are ``stride`` periods apart."""
        episodes = self.held_out_episodes if held_out else self.training_episodes
        span = (length - 1) * stride + 1
        episodes = episodes[self.lengths[episodes] >= span]
        if len(episodes) == 0:
            raise UserError(
                f"No episode has the {span} frames that a clip needs; the longest has {self.lengths.max()}."
            )
        # Every possible clip is equally likely, so long episodes are drawn more often.
        room = self.lengths[episodes] - span + 1
        chosen = rng.choice(len(episodes), batch, p=room / room.sum())
        first = self.starts[episodes[chosen]] + rng.integers(0, room[chosen])
        return first[:, None] + np.arange(length) * stride

    def actions(self, index: np.ndarray) -> np.ndarray:
        """float32 [batch, length - 1, 7] between the frames of clips given by their indices [batch, length]."""
        states = self.states[index]
        return pose.difference(states[:, :-1], states[:, 1:]).astype(np.float32)


def load_clips(sources: Iterable[str], on_episode: Callable[[int, int], None] = lambda done, total: None) -> Clips:
    """Read whole data sets into memory: 50 kB per 128-pixel frame, and twice that while reading.

    Args:
        sources: such as ``sim:FOLDER``.
        on_episode: called with the numbers of episodes read and in all.

    Raises:
        UserError: an episode is damaged, or the data sets differ in image size or period.
    """
    folders = []
    for source in sources:
        kind, root, _ = parse_source(source)
        if kind != "sim":
            raise UserError(f"--data {source!r}: only episodes (sim:FOLDER) have the actions that this needs.")
        folders += [(source, folder) for folder in find_episodes(root)]
    episodes = []
    with ThreadPoolExecutor(2) as pool:
        for episode in pool.map(lambda item: read_episode(item[1]), folders):
            episodes.append(episode)
            on_episode(len(episodes), len(folders))
    shapes = {episode.camera.frames.shape[1:] for episode in episodes}
    if len(shapes) > 1:
        raise UserError(f"The episodes' images have different sizes: {sorted(shapes)}. Train on data of one size.")
    periods = np.array([episode.period for episode in episodes])
    if periods.max() - periods.min() > 0.02 * periods.mean():
        raise UserError(
            f"The episodes' periods reach from {periods.min():.3f} to {periods.max():.3f} s; they must agree."
        )
    unknown = np.full((1, 3), np.nan)
    return Clips(
        frames=np.concatenate([episode.camera.frames for episode in episodes]),
        states=np.concatenate([episode.states for episode in episodes]).astype(np.float32),
        object_positions=np.concatenate(
            [episode.privileged.get("object_position", np.repeat(unknown, len(episode), 0)) for episode in episodes]
        ).astype(np.float32),
        lengths=np.array([len(episode) for episode in episodes]),
        period=float(np.median(periods)),
        record={
            "sources": list(sources),
            "episodes": len(episodes),
            "frames": int(sum(map(len, episodes))),
            "grippers": sorted({episode.details["gripper"] for episode in episodes if "gripper" in episode.details}),
            "seeds": [episode.seed for episode in episodes if episode.seed is not None],
        },
    )
