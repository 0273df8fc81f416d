"""Weighted mixtures of data, drawn clip by clip: robot episodes and, for pretraining, videos and images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from vjepa_sim.data.clip import GoalPair, RobotClip, VideoClip
from vjepa_sim.data.clips import PERIODS, Clips
from vjepa_sim.data.formats import FORMATS, open_reader
from vjepa_sim.data.videos import ImageFolder, VideoFolder
from vjepa_sim.envs.errors import UserError, unknown_name

PLAIN = {"video": VideoFolder, "images": ImageFolder}  # folders without robots
MOMENTS = 64  # held-out pairs examined for commands
MEMORY_SHARE = 0.4  # share of the memory that decoded episodes may fill
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

Kind = TypeVar("Kind", bound=VideoClip)


class Source(Protocol):
    """Where clips come from."""

    @property
    def record(self) -> dict:
        """Description of the data for the model card, JSON-compatible."""
        ...

    @property
    def identity(self) -> dict:
        """Values that must be the same for a resumed run, JSON-compatible."""
        ...

    def draw_clip(self, rng: np.random.Generator, frames: int, stride: int) -> VideoClip:
        """A random clip whose frames are ``stride`` periods apart."""
        ...


class Mixture:
    """Sources of clips with weights.

    A clip depends on its seed alone, so workers and processes can share the work in any way.

    Attributes:
        sources: Sources in the order given.
        weights: Probability of each source, adding up to 1.
        period: Seconds between two frames of a clip at stride 1.
    """

    def __init__(self, sources: list[Source], weights: list[float], period: float = PERIODS["paper"]):
        self.sources = sources
        self.weights = np.array(weights) / np.sum(weights)
        self.period = period

    @property
    def records(self) -> tuple[dict, ...]:
        """Descriptions of the data for the model card."""
        return tuple(source.record for source in self.sources)

    @property
    def identity(self) -> list:
        """Values that must be the same for a resumed run, JSON-compatible."""
        return [[source.identity, float(weight)] for source, weight in zip(self.sources, self.weights, strict=True)]

    @property
    def episodes(self) -> list[Clips]:
        """The sources that are robot episodes; probes and sample images come from the first."""
        return [source for source in self.sources if isinstance(source, Clips)]

    def draw(self, seeds: list[list[int]], frames: int, stride: int) -> list[VideoClip]:
        """One clip for each seed, decoded in parallel. Equal seeds give equal clips."""
        return _side_by_side(lambda seed: self.draw_one(seed, frames, stride), seeds)

    def draw_one(self, seed: list[int], frames: int, stride: int) -> VideoClip:
        """The clip of a seed."""
        rng = np.random.default_rng(seed)
        number = self._pick(rng)
        return replace(self.sources[number].draw_clip(rng, frames, stride), source=number)

    def draw_motion(
        self, seeds: list[list[int]], frames: int, held_out: bool = False, images: bool = False
    ) -> list[RobotClip]:
        """One clip for each seed, for mixtures of robot episodes only; see :meth:`.Clips.draw_clip`."""
        return self._draw(
            seeds, images, lambda clips, rng: clips.draw_clip(rng, frames, 1, held_out=held_out, images=images)
        )

    def draw_pairs(
        self, seeds: list[list[int]], farthest: int, *, held_out: bool = False, images: bool = False, chunk: int = 0
    ) -> list[GoalPair]:
        """One start and goal for each seed, for mixtures of robot episodes only; see :meth:`.Clips.draw_pair`."""
        return self._draw(
            seeds,
            images,
            lambda clips, rng: clips.draw_pair(rng, farthest, held_out=held_out, images=images, chunk=chunk),
        )

    def has_commands(self) -> bool:
        """Whether a sample of held-out pairs has commands; for mixtures of robot episodes only."""
        seeds = [[0, row] for row in range(MOMENTS)]
        return any(np.isfinite(pair.commands).any() for pair in self.draw_pairs(seeds, 1, held_out=True))

    def _draw(
        self, seeds: list[list[int]], images: bool, draw: Callable[[Clips, np.random.Generator], Kind]
    ) -> list[Kind]:
        episodes = self.episodes

        def one(seed: list[int]) -> Kind:
            rng = np.random.default_rng(seed)
            number = self._pick(rng)
            return replace(draw(episodes[number], rng), source=number)

        return _side_by_side(one, seeds) if images else [one(seed) for seed in seeds]

    def _pick(self, rng: np.random.Generator) -> int:
        return int(rng.choice(len(self.sources), p=self.weights))


def _side_by_side(draw: Callable[[list[int]], Kind], seeds: list[list[int]]) -> list[Kind]:
    # A new pool for each call: a kept one wouldn't survive the forks of a DataLoader.
    with ThreadPoolExecutor(_threads()) as pool:
        return list(pool.map(draw, seeds))


def _processes() -> int:
    """Number of training processes on this machine, set by torchrun."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _threads() -> int:
    return max(1, (os.cpu_count() or 1) // _processes())


def _memory() -> float:
    """Bytes of memory of this machine or container."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no file, or it holds "max"
        return machine


def load_mixture(
    texts: str | Iterable[str],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    period: float = PERIODS["paper"],
    view: str = "left",
    short_side: int | None = None,
    only_episodes: bool = False,
) -> Mixture:
    """Open data such as ``droid:PATH@0.5``, ``sim:PATH@0.5``, ``video:clips@0.3``, ``images:photos``.

    Args:
        texts: One or several FORMAT:PATH@WEIGHT; the default weight is 1.
        on_progress: Called with the number of episodes read and the total, while data sets are indexed and loaded.
        period: Seconds between two frames.
        view: Camera of robot episodes, see :meth:`.Episode.view`.
        short_side: Pixels of the shorter image side, to which larger images are reduced; None keeps their size.
        only_episodes: Reject plain videos and images, which have no actions.

    Raises:
        UserError: A format is unknown, or a path is missing or holds no such data.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise UserError("No data: give at least one FORMAT:PATH, for example --data sim:episodes.")
    sources: list[Source] = []
    weights = []
    budget = MEMORY_SHARE * _memory() / _processes()
    for text in texts:
        kind, path, weight = parse_source(text)
        if kind in PLAIN:
            if only_episodes:
                raise UserError(
                    f"--data {text!r}: it has no actions, which are needed here. Give robot episodes: "
                    f"{', '.join(f'{name}:PATH' for name in FORMATS)}."
                )
            sources.append(PLAIN[kind](path, period, short_side))
        else:
            source = f"{kind}:{path}"
            clips = Clips(open_reader(path, kind, on_progress), period, view=view, short_side=short_side, source=source)
            if clips.load(budget, _threads(), on_progress):
                budget -= clips.footage.bytes()
            sources.append(clips)
        weights.append(weight)
    mixture = Mixture(sources, weights, period)
    held_out = set().union(*(clips.held_out_digests for clips in mixture.episodes))
    for clips in mixture.episodes:
        clips.leave_out_copies(held_out)
    return mixture


def look_through(texts: Iterable[str], on_progress: Callable[[int, int], None]) -> None:
    """Build the indexes of data sets, so that opening them is quick; see :mod:`vjepa_sim.data.formats.index`.

    Raises:
        UserError: See :func:`load_mixture`.
    """
    for text in texts:
        kind, path, _ = parse_source(text)
        if kind not in PLAIN:
            open_reader(path, kind, on_progress)


def parse_source(text: str) -> tuple[str, Path, float]:
    """Format, path and weight of a data argument such as ``sim:episodes/first`` or ``video:clips@0.5``.

    Raises:
        UserError: The argument has another form, or the format is unknown.
    """
    kind, separator, rest = text.partition(":")
    path, at, share = rest.rpartition("@")
    if not at or Path(rest).exists():  # a folder's name may contain @
        path, share = rest, "1"
    names = [*FORMATS, *PLAIN]
    if not separator or not path:
        raise UserError(
            f"--data {text!r}: expected FORMAT:PATH or FORMAT:PATH@WEIGHT, for example sim:episodes. "
            f"Formats: {', '.join(names)}."
        )
    if kind not in names:
        raise unknown_name("data format", kind, names)
    try:
        weight = float(share)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"--data {text!r}: the weight {share!r} is not a number above 0.")
    return kind, Path(path), weight
