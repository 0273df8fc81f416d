"""Collect labelled episodes in parallel processes."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from agents.agent import OURS, TRUTH, Agent, load_agent
from agents.behaviors import BEHAVIORS, DEFAULT_MIX, PLANNER, make_behavior
from data.formats.droid import VERSION_FOLDER, episode_folder, write_episode
from data.output import claimed
from data.recorder import record
from envs.errors import UserError, unknown_name
from envs.safety import default_limits
from envs.scene.names import CAMERA, CAMERAS, GRIPPERS, OBJECTS
from envs.seeds import training_seed
from envs.simulation import PERIOD
from envs.tasks import TASKS

CONFIG_FILE = "collection.json"
ACTING = tuple(name for name in OURS if name not in TRUTH)  # whose mistakes can be collected


@dataclass(frozen=True)
class CollectConfig:
    """What to collect. Two runs with equal values give equal episodes, however many processes run.

    Attributes:
        episodes: how many in all; a larger number continues a smaller one.
        seed: 0 to 2146.
        tasks: whose start states are used, in turn.
        objects: in turn.
        size: image height and width in pixels.
        steps: control steps per episode, at most; an expert's ends soon after it has succeeded.
        randomize: largest strength of randomisation; half of the episodes have the nominal look, the strength of
            the others is uniform up to this.
        gripper: ``robotiq`` or ``panda_hand``.
        mix: share of each behaviour.
        cameras: that are recorded, of ``left``, ``right`` and ``wrist``.
        checkpoint: of the agent that acts where the mix says ``planner``; for nothing else.
        agent: ``mpc``, or ``bc`` for a cloned policy.
        planner: how ``mpc`` plans, see :data:`agents.planners.PLANNERS`.
    """

    episodes: int
    seed: int
    tasks: tuple[str, ...] = tuple(TASKS)
    objects: tuple[str, ...] = OBJECTS
    size: int = 128
    steps: int = 24
    randomize: float = 0.3
    gripper: str = "robotiq"
    mix: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    cameras: tuple[str, ...] = (CAMERA,)
    checkpoint: str | None = None
    agent: str = "mpc"
    planner: str = "policy"

    def __post_init__(self) -> None:
        for name, kind, valid in (
            [(t, "task", TASKS) for t in self.tasks]
            + [(o, "object", OBJECTS) for o in self.objects]
            + [(c, "camera", CAMERAS) for c in self.cameras]
        ):
            if name not in valid:
                raise unknown_name(kind, name, valid)
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise UserError(f"cameras={self.cameras}: give at least one, and each once.")
        for name, share in self.mix.items():
            if name not in BEHAVIORS:
                raise unknown_name("behavior", name, BEHAVIORS)
            if not 0 <= share < float("inf"):
                raise UserError(f"The share of behavior {name!r} is {share}; it must be a number and not negative.")
        if not sum(self.mix.values()) > 0:
            raise UserError(
                f"The behavior mix {self.mix} adds up to nothing; give at least one behavior a positive share."
            )
        if (self.mix.get(PLANNER, 0) > 0) != (self.checkpoint is not None):
            raise UserError(
                f"mix={self.mix} and checkpoint={self.checkpoint}: the behavior {PLANNER!r} needs a checkpoint, and no "
                "other does."
            )
        if self.agent not in ACTING:
            raise unknown_name("agent", self.agent, ACTING)
        if self.planner != CollectConfig.planner:
            from agents.planners import get_planner  # loads PyTorch, which most collections do without

            get_planner(self.planner)
        if self.episodes < 1 or self.steps < 1:
            raise UserError(f"episodes={self.episodes} and steps={self.steps} must both be at least 1.")
        if self.gripper not in GRIPPERS:
            raise unknown_name("gripper", self.gripper, GRIPPERS)
        if not 16 <= self.size <= 1024 or self.size % 2:
            raise UserError(f"size={self.size}: videos need an even image size from 16 to 1024.")
        if not 0 <= self.randomize <= 1:
            raise UserError(f"randomize={self.randomize} is outside 0..1.")
        training_seed(self.seed, self.episodes - 1)


@dataclass(frozen=True)
class Collected:
    """The outcome of a collection.

    Attributes:
        written: episodes of this run.
        present: episodes in the folder now.
        frames: written in this run.
        successes: successes among those written, by behaviour.
        behaviors: episodes written, by behaviour.
    """

    written: int
    present: int
    frames: int
    successes: Counter
    behaviors: Counter


def collect(
    out: Path, config: CollectConfig, workers: int, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Collected:
    """Write the episodes that are still missing in ``out``.

    Args:
        out: a new folder, or one that an earlier run of the same configuration left.
        config: what to collect.
        workers: processes.
        on_progress: called with the episodes done and missing at the start, in this run.

    Raises:
        UserError: the folder holds a collection made with other settings.
    """
    if workers < 1:
        raise UserError(f"workers={workers}: at least one process is needed.")
    present = len(list(out.glob(f"{VERSION_FOLDER}/*/*/*/*/trajectory.h5")))
    if present > config.episodes:
        raise UserError(f"{out} holds {present} episodes already; --episodes {config.episodes} can only add to them.")
    settings = asdict(config)
    if config.checkpoint is not None:
        from vjepa_sim.world_model import fingerprint

        # What doesn't fit is told here, not by a worker.
        agent = load_agent(config.agent, config.checkpoint, planner=config.planner)
        agent.model.card.check_fit(PERIOD, config.size, config.gripper)
        settings["checkpoint_crc32"] = fingerprint(config.checkpoint)  # the same path may hold another model tomorrow
    # In collections from before there was a choice.
    assumed = {"cameras": [CAMERA], "checkpoint": None, "agent": "mpc", "planner": "policy"}
    with claimed(out, CONFIG_FILE, settings, may_differ=("episodes",), assumed=assumed):
        for left_over in out.glob(".partial-*"):  # of a run that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        return _collect_missing(out, config, workers, on_progress)


def _collect_missing(
    out: Path, config: CollectConfig, workers: int, on_progress: Callable[[int, int], None]
) -> Collected:
    missing = [index for index in range(config.episodes) if not _exists(out, index)]
    on_progress(0, len(missing))
    behaviors: Counter = Counter()
    successes: Counter = Counter()
    frames = 0
    context = get_context("spawn")  # a renderer's context doesn't survive a fork
    processes = min(workers, max(1, len(missing)))
    with ProcessPoolExecutor(processes, context, initializer=_follow_parent, initargs=(os.getpid(),)) as pool:
        with _interrupts_blocked():  # processes start here and inherit it: Ctrl-C is the parent's alone
            futures = [pool.submit(_collect_one, out, index, config) for index in missing]
        try:
            for future in as_completed(futures):
                behavior, success, rows = future.result()
                behaviors[behavior] += 1
                successes[behavior] += success
                frames += rows
                on_progress(sum(behaviors.values()), len(missing))
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process died, most likely because memory ran out. Nothing is lost: give the same command "
                "again, with fewer --workers."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    present = sum(_exists(out, index) for index in range(config.episodes))
    return Collected(len(missing), present, frames, successes, behaviors)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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


@cache
def _load_acting(name: str, checkpoint: str, planner: str, gripper: str) -> Agent:
    """Once in a worker process, on one core: the others are the other workers'."""
    import torch

    torch.set_num_threads(1)
    return load_agent(name, checkpoint, limits=default_limits(gripper), planner=planner)


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
    agent = None
    if behavior == PLANNER:
        agent = _load_acting(config.agent, config.checkpoint, config.planner, config.gripper)
    policy = make_behavior(behavior, env, rng, agent)
    episode = record(
        env, policy.act, config.steps, behavior, seed, details, config.cameras, policy.disturb, policy.finished
    )
    write_episode(out, index, episode)
    return behavior, bool(episode.success), len(episode)
