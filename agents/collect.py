"""Collect labelled episodes in parallel processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from agents.behaviors import BEHAVIORS, DEFAULT_MIX, make_behavior
from data.droid import LAB, VERSION_FOLDER, episode_folder, write_episode
from data.provenance import provenance, write_json
from data.recorder import record
from envs.errors import UserError, unknown_name
from envs.scene.names import OBJECTS
from envs.seeds import training_seed
from envs.tasks import TASKS

CONFIG_FILE = "collection.json"


@dataclass(frozen=True)
class CollectConfig:
    """What to collect. Two runs with equal values give equal episodes, however many processes run.

    Attributes:
        episodes: how many in all; a larger number continues a smaller one.
        seed: 0 to 2146.
        tasks: whose start states are used, in turn.
        objects: in turn.
        size: image height and width in pixels.
        steps: control steps per episode.
        randomize: largest strength of randomisation; half of the episodes have the nominal look, the strength of
            the others is uniform up to this.
        gripper: ``robotiq`` or ``panda_hand``.
        mix: share of each behaviour.
    """

    episodes: int
    seed: int
    tasks: tuple[str, ...] = tuple(TASKS)
    objects: tuple[str, ...] = OBJECTS
    size: int = 128
    steps: int = 24
    randomize: float = 0.5
    gripper: str = "robotiq"
    mix: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))

    def __post_init__(self) -> None:
        for name, kind, valid in [(t, "task", TASKS) for t in self.tasks] + [
            (o, "object", OBJECTS) for o in self.objects
        ]:
            if name not in valid:
                raise unknown_name(kind, name, valid)
        for name, share in self.mix.items():
            if name not in BEHAVIORS:
                raise unknown_name("behavior", name, BEHAVIORS)
            if share < 0:
                raise UserError(f"The share of behavior {name!r} is {share}; it must not be negative.")
        if not sum(self.mix.values()) > 0:
            raise UserError(
                f"The behavior mix {self.mix} adds up to nothing; give at least one behavior a positive share."
            )
        if self.episodes < 1 or self.steps < 1:
            raise UserError(f"episodes={self.episodes} and steps={self.steps} must both be at least 1.")
        if not 0 <= self.randomize <= 1:
            raise UserError(f"randomize={self.randomize} is outside 0..1.")
        training_seed(self.seed, self.episodes - 1)


@dataclass(frozen=True)
class Collected:
    """The outcome of a collection.

    Attributes:
        written: episodes of this run.
        present: episodes in the folder now.
        successes: successes among those written, by behaviour.
        behaviors: episodes written, by behaviour.
    """

    written: int
    present: int
    successes: Counter
    behaviors: Counter


def collect(
    out: Path, config: CollectConfig, workers: int, on_episode: Callable[[int], None] = lambda frames: None
) -> Collected:
    """Write the episodes that are still missing in ``out``.

    Args:
        out: a new folder, or one that an earlier run of the same configuration left.
        config: what to collect.
        workers: processes.
        on_episode: called with the number of frames of each episode written.

    Raises:
        UserError: the folder holds a collection made with other settings.
    """
    if workers < 1:
        raise UserError(f"workers={workers}: at least one process is needed.")
    _claim(out, config)
    missing = [index for index in range(config.episodes) if not _exists(out, index)]
    behaviors: Counter = Counter()
    successes: Counter = Counter()
    context = get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, max(1, len(missing))), context, initializer=_follow_parent, initargs=(os.getpid(),)
    ) as pool:
        futures = [pool.submit(_collect_one, out, index, config) for index in missing]
        try:
            for future in as_completed(futures):
                behavior, success, frames = future.result()
                behaviors[behavior] += 1
                successes[behavior] += success
                on_episode(frames)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    present = sum(_exists(out, index) for index in range(config.episodes))
    return Collected(sum(behaviors.values()), present, successes, behaviors)


def _claim(out: Path, config: CollectConfig) -> None:
    """Note the configuration in ``out``, or check that the one noted there is the same but for its length."""
    path = out / CONFIG_FILE
    ours = json.loads(json.dumps(asdict(config)))
    if path.exists():
        try:
            theirs = json.loads(path.read_text())["config"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is damaged ({error!r}). Collect into another folder, or delete this one."
            ) from error
        different = [key for key in ours if key != "episodes" and theirs.get(key) != ours[key]]
        if different:
            lines = "; ".join(f"{key} was {theirs.get(key)!r}, now {ours[key]!r}" for key in different)
            raise UserError(
                f"{out} holds a collection made with other settings: {lines}. Use the same ones, or another --out."
            )
        ours = {**ours, "episodes": max(ours["episodes"], theirs["episodes"])}
    elif out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no {CONFIG_FILE}. Give a new folder as --out.")
    for left_over in out.glob(".partial-*"):  # of a run that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    write_json(path, {"config": ours, "provenance": provenance(), "layout": f"DROID raw: {VERSION_FOLDER}/{LAB}/…"})


def _exists(out: Path, index: int) -> bool:
    return any(episode_folder(out, index, success).exists() for success in (True, False))


def _follow_parent(parent: int) -> None:
    """Leave Ctrl-C to the parent, which then finishes the running episodes; end when the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_ENVIRONMENTS: dict = {}  # of one worker process: a scene takes a moment to load


def _collect_one(out: Path, index: int, config: CollectConfig) -> tuple[str, bool, int]:
    """Collect and write one episode; returns its behaviour, success, and number of frames."""
    from envs.franka_env import FrankaEnv

    seed = training_seed(config.seed, index)
    rng = np.random.default_rng([seed, 1])
    task = config.tasks[index % len(config.tasks)]
    object_name = config.objects[index // len(config.tasks) % len(config.objects)]
    names, shares = list(config.mix), np.array(list(config.mix.values()), float)
    behavior = str(rng.choice(names, p=shares / shares.sum()))
    strength = config.randomize * max(0.0, 2 * rng.random() - 1)

    key = (task, object_name, config.gripper, config.size)
    if key not in _ENVIRONMENTS:
        _ENVIRONMENTS[key] = FrankaEnv(task, object_name, config.gripper, config.size)
    env = _ENVIRONMENTS[key]
    env.reset(seed=seed, options={"randomize": strength})
    details = {"task": task, "object": object_name, "randomize": strength, "gripper": config.gripper}
    episode = record(env, make_behavior(behavior, env, rng), config.steps, behavior, seed, details)
    write_episode(out, index, episode)
    return behavior, bool(episode.success), len(episode)
