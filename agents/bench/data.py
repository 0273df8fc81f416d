"""Speed of reading clips, compared with decoding a whole episode per clip, and of opening a large data set."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from vjepa_sim.agents.bench.timing import in_turn
from vjepa_sim.data.clips import Clips
from vjepa_sim.data.formats import open_reader
from vjepa_sim.data.formats.droid import DroidReader, episode_folder, find_episodes
from vjepa_sim.data.formats.index import indexed
from vjepa_sim.data.mixture import Mixture, load_mixture, parse_source
from vjepa_sim.envs import pose

BATCH, FRAMES, PERIOD = 16, 8, 0.25
SHORT_SIDE = 512  # pixels to which training reduces large images, for a model with 256
ROUNDS = 3
MANY = 100_000
# As DROID's recordings, but shorter: HD video in MPEG-4 with few keyframes, 15 rows per second with a 60 fps header.
HEIGHT, WIDTH, RATE, ROWS = 720, 1280, 15, 150


def bench_data(source: str | None) -> dict:
    """Measure clips of 8 frames per second, from disk, from memory, and by decoding a whole episode per clip.

    Args:
        source: data set such as ``droid:PATH``; None makes a simulated data set and one with HD video, and also
            measures the time to open 100,000 episodes.

    Returns:
        Clips per second, their ratio and the number of busy cores, for each data set.
    """
    if source is not None:
        return {"given": _measure(source)}
    from vjepa_sim.agents.collection.collect import CollectConfig, collect

    with tempfile.TemporaryDirectory() as folder:
        sim, real = Path(folder) / "sim", Path(folder) / "real"
        config = CollectConfig(episodes=8, seed=0, tasks=("reach",), objects=("box",))
        collect(sim, config, workers=2)
        _imitate_droid(real, sim)
        return {
            "simulated_128_pixels": _measure(f"sim:{sim}"),
            "recorded_720_pixels": _measure(f"droid:{real}"),
            "many_episodes": _measure_many(Path(folder) / "many", sim),
        }


def _measure(source: str) -> dict:
    kind, path, _ = parse_source(source)
    reader = open_reader(path, kind)
    on_disk = Mixture([Clips(reader, PERIOD, short_side=SHORT_SIDE, source=source)], [1.0])
    loaded = load_mixture([source], period=PERIOD, short_side=SHORT_SIDE)
    rng, turn = np.random.default_rng(0), iter(range(1_000_000))

    def ours(mixture: Mixture) -> None:
        step = next(turn)
        mixture.draw([[step, row] for row in range(BATCH)], FRAMES, 1)

    def naive() -> None:
        for number in rng.integers(0, len(reader), BATCH):
            episode = reader.read(int(number), ("left",))
            frames = episode.view("left").frames[:]
            times = episode.stamps[0] + PERIOD * np.arange(FRAMES)
            rows = np.searchsorted(episode.stamps, times[times <= episode.stamps[-1]])
            pose.difference(episode.states[rows[:-1]], episode.states[rows[1:]])
            np.ascontiguousarray(frames[rows])

    busy: list[float] = []

    def from_disk() -> None:
        before, start = time.process_time(), time.perf_counter()
        ours(on_disk)
        busy.append((time.process_time() - before) / (time.perf_counter() - start))

    times = in_turn({"disk": from_disk, "memory": lambda: ours(loaded), "naive": naive}, ROUNDS)
    seconds = {name: float(np.median(values)) for name, values in times.items()}
    return {
        "clips_per_second_from_disk": BATCH / seconds["disk"],
        "clips_per_second_from_memory": BATCH / seconds["memory"],
        "clips_per_second_naive": BATCH / seconds["naive"],
        "disk_over_naive": float(np.median(times["naive"] / times["disk"])),
        "cores_busy_from_disk": float(np.median(busy)),
        "cores": os.cpu_count() or 1,
    }


def _imitate_droid(root: Path, sim: Path) -> None:
    """Four recordings in DROID's format; their video is a shifted image of a simulated episode."""
    import av
    import h5py
    from PIL import Image

    still = Image.fromarray(open_reader(sim, "sim").read(0).view("left").frames[0])
    large = np.asarray(still.resize((WIDTH, WIDTH)))[:HEIGHT]
    for index in range(4):
        folder = episode_folder(root, index, True)
        (folder / "recordings" / "MP4").mkdir(parents=True)
        with av.open(str(folder / "recordings" / "MP4" / "100.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=60)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.bit_rate = 8_000_000
            for row in range(ROWS):
                frame = av.VideoFrame.from_ndarray(np.roll(large, 4 * row, axis=1), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        with h5py.File(folder / "trajectory.h5", "w") as file:
            positions = np.cumsum(np.full((ROWS, 6), 1e-3), axis=0) + 1e-3 * index
            file["observation/robot_state/cartesian_position"] = positions
            file["observation/robot_state/gripper_position"] = np.zeros(ROWS)
            file["action/cartesian_position"], file["action/gripper_position"] = positions, np.zeros(ROWS)
            file["observation/camera_type/100"] = np.ones(ROWS, np.int64)
            file["observation/timestamp/robot_state/read_start"] = np.round(1000 * np.arange(ROWS) / RATE).astype(int)


def _measure_many(root: Path, sim: Path) -> dict:
    """Time and peak memory of a separate process that opens an indexed data set and reads its first clip."""
    make_many(root, sim, MANY)
    code = f"from vjepa_sim.agents.bench.data import open_many; open_many({str(root)!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, megabytes = (float(number) for number in result.stdout.split())
    return {"episodes": MANY, "seconds_to_first_clip": seconds, "peak_megabytes": megabytes}


def make_many(root: Path, sim: Path, count: int) -> None:
    """Make an indexed data set of many episodes, all with links to one simulated episode's files.

    Args:
        root: folder of the data set.
        sim: folder of a simulated data set.
        count: number of episodes.
    """
    reader = DroidReader(sim)
    entry, template = reader.entries[0], reader.folder(0).resolve()
    for index in range(count):
        folder = episode_folder(root, index, True)
        folder.mkdir(parents=True)
        for item in template.iterdir():
            (folder / item.name).symlink_to(item)
    # Without the digest, by which they would be found to be copies.
    indexed(root, find_episodes(root), lambda name: replace(entry, name=name, digest=""))


def open_many(root: str) -> None:
    """Print the seconds to the first clip and the peak memory of the process in megabytes."""
    start = time.perf_counter()
    mixture = Mixture([Clips(open_reader(Path(root), "droid"), PERIOD)], [1.0])
    mixture.draw([[0]], FRAMES, 1)
    print(time.perf_counter() - start, _peak_megabytes())


def _peak_megabytes() -> float:
    """Peak memory of this process; getrusage would include its parent's at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
