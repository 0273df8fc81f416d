"""Reading data: clips from memory against opening an episode and decoding all of it for each clip."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from agents.bench.timing import in_turn
from data.clips import load_clips, parse_source
from data.droid import find_episodes, read_episode

BATCH, LENGTH = 16, 4
ROUNDS = 5


def bench_data(source: str | None) -> dict:
    """Clips of 4 frames per second, by our way and by the naive one; frames per second of reading whole episodes."""
    if source is not None:
        return _measure(source)
    from agents.collect import CollectConfig, collect

    with tempfile.TemporaryDirectory() as folder:
        collect(
            Path(folder) / "episodes", CollectConfig(episodes=8, seed=0, tasks=("reach",), objects=("box",)), workers=2
        )
        return _measure(f"sim:{folder}/episodes")


def _measure(source: str) -> dict:
    folders = find_episodes(parse_source(source)[1])[:64]
    clips = load_clips([source])
    rng = np.random.default_rng(0)

    def from_memory() -> np.ndarray:
        return clips.frames[clips.draw(rng, BATCH, LENGTH)]

    def naive() -> np.ndarray:
        episodes = [read_episode(folders[i]) for i in rng.integers(0, len(folders), BATCH)]
        return np.stack([episode.camera.frames[:LENGTH] for episode in episodes])

    times = in_turn({"memory": from_memory, "naive": naive}, ROUNDS)
    naive_seconds, memory_seconds = float(np.median(times["naive"])), float(np.median(times["memory"]))
    return {
        "episodes": len(clips.lengths),
        "clips_per_second": BATCH / memory_seconds,
        "naive_clips_per_second": BATCH / naive_seconds,
        "speedup_median": float(np.median(times["naive"] / times["memory"])),
        "read_frames_per_second": BATCH * float(clips.lengths.mean()) / naive_seconds,
    }
