"""Weighted mixtures of data for stage one: episodes, videos and pictures, drawn clip by clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from data.clips import Clips, load_clips, parse_source
from data.videos import ImageFolder, VideoFolder


class Source(Protocol):
    """Where clips come from.

    Attributes:
        record: what the data are, for the card; JSON-compatible.
        identity: what a resumed run compares; JSON-compatible.
    """

    record: dict
    identity: dict

    def draw_clip(self, rng: np.random.Generator, frames: int, stride: int) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [frames, H, W, 3], and the arm's states [frames, 7] if there is an arm."""


class Mixture:
    """Sources and how often each is drawn from.

    Attributes:
        sources: in the order given.
        weights: they add up to 1.
    """

    def __init__(self, sources: list[Source], weights: list[float]):
        self.sources = sources
        self.weights = np.array(weights) / np.sum(weights)
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)

    @property
    def records(self) -> tuple[dict, ...]:
        """What the data are, for the card."""
        return tuple(source.record for source in self.sources)

    @property
    def identity(self) -> list:
        """What a resumed run compares to know that the data are still the same, JSON-compatible."""
        return [[source.identity, float(weight)] for source, weight in zip(self.sources, self.weights, strict=True)]

    @property
    def episodes(self) -> list[Clips]:
        """The sources that hold robot episodes; probes and pictures are made from the first."""
        return [source for source in self.sources if isinstance(source, Clips)]

    def draw(self, seeds: Iterable[list[int]], frames: int, stride: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """One clip for each seed, read side by side; see :meth:`Source.draw_clip`. Equal seeds give equal clips."""

        def one(seed: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
            rng = np.random.default_rng(seed)
            return self.sources[rng.choice(len(self.sources), p=self.weights)].draw_clip(rng, frames, stride)

        return list(self._pool.map(one, seeds))


def load_mixture(texts: Iterable[str], on_episode: Callable[[int, int], None] = lambda done, total: None) -> Mixture:
    """Open data such as ``sim:episodes@0.5``, ``video:clips@0.3``, ``images:pictures@0.2``.

    Args:
        texts: FORMAT:FOLDER@WEIGHT; a weight that is left out is 1.
        on_episode: called with the numbers of episodes read into memory and in all.

    Raises:
        UserError: a format is unknown, a folder is missing or holds nothing of its kind.
    """
    sources, weights = [], []
    for text in texts:
        kind, folder, weight = parse_source(text)
        openers: dict[str, Callable[[Path], Source]] = {
            "sim": lambda _, text=text: load_clips([text], on_episode),
            "video": VideoFolder,
            "images": ImageFolder,
        }
        sources.append(openers[kind](folder))
        weights.append(weight)
    return Mixture(sources, weights)
