"""Collection of labelled episodes in parallel processes."""

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
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.agents.agent import Agent, card_of
from vjepa_sim.agents.collection.behaviors import BEHAVIORS
from vjepa_sim.agents.collection.config import CollectConfig
from vjepa_sim.agents.registry import load_agent
from vjepa_sim.agents.rollout import Step, rollout
from vjepa_sim.data.episode_builder import SimEpisodeBuilder
from vjepa_sim.data.formats.droid import VERSION_FOLDER, episode_folder, write_episode
from vjepa_sim.data.output import claimed
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.safety import default_limits
from vjepa_sim.envs.scene.cameras import LEFT
from vjepa_sim.envs.seeds import training_seed
from vjepa_sim.envs.simulation.simulation import PERIOD

if TYPE_CHECKING:
    from vjepa_sim.envs.sim_env import SimEnv

CONFIG_FILE = "collection.json"


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Result of a collection.

    Attributes:
        written: episodes written in this run.
        present: episodes in the folder.
        frames: frames written in this run.
        successes: successful episodes of this run, by behavior.
        behaviors: episodes of this run, by behavior.
    """

    written: int
    present: int
    frames: int
    successes: Counter
    behaviors: Counter


def collect(
    out: Path, config: CollectConfig, workers: int, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Collected:
    """Write the episodes that are missing in a folder.

    Args:
        out: new folder, or that of an earlier run with the same configuration.
        config: settings of the collection.
        workers: number of processes.
        on_progress: called with the episodes written so far and to write in all.

    Raises:
        UserError: the folder holds a collection with other settings, or the checkpoint does not fit the environment.
    """
    if workers < 1:
        raise UserError(f"workers={workers}: at least one process is needed.")
    present = len(list(out.glob(f"{VERSION_FOLDER}/*/*/*/*/trajectory.h5")))
    if present > config.episodes:
        raise UserError(f"{out} holds {present} episodes already, more than --episodes {config.episodes}.")
    settings = asdict(config)
    if config.checkpoint is not None:
        from vjepa_sim.checkpoint import fingerprint

        # Checked here, so that the error is not raised in a worker.
        card = card_of(load_agent(config.agent, config.checkpoint, planner=config.agent_planner))
        if card is not None:
            card.check_fit(PERIOD, config.size, arm=config.arm, gripper=config.gripper)
        settings["checkpoint_crc32"] = fingerprint(config.checkpoint)  # the checkpoint at a path may be replaced
    # Settings of collections that were made before these could be chosen.
    assumed = {
        "cameras": [LEFT.name],
        "checkpoint": None,
        "agent": "mpc",
        "planner": "policy",
        "arm": "panda",
    }
    with claimed(out, CONFIG_FILE, settings, may_differ=("episodes",), assumed=assumed):
        for left_over in out.glob(".partial-*"):  # left by a run that was killed
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
        with _interrupts_blocked():  # inherited by the processes, so that only the parent receives Ctrl-C
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
                "A worker process died, most likely because memory ran out. Finished episodes are kept: give the same "
                "command again, with fewer --workers."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    present = sum(_exists(out, index) for index in range(config.episodes))
    return Collected(written=len(missing), present=present, frames=frames, successes=successes, behaviors=behaviors)


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
    """Ignore Ctrl-C, which the parent handles by finishing the running episodes; end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_ENVIRONMENTS: dict[tuple, SimEnv] = {}  # of this worker process: loading a scene takes long


@cache
def _load_acting(name: str, checkpoint: str, planner: str, *, arm: str, gripper: str) -> Agent:
    """Load the agent once per worker process, and use one core: the others are for the other workers."""
    import torch

    torch.set_num_threads(1)
    return load_agent(name, checkpoint, limits=default_limits(arm, gripper), planner=planner)


def _collect_one(out: Path, index: int, config: CollectConfig) -> tuple[str, bool, int]:
    """Collect and write one episode; return its behavior, its success and its number of frames."""
    seed = training_seed(config.seed, index)
    rng = np.random.default_rng([seed, 1])
    task, object_name = config.turn(index)
    names, shares = list(config.mix), np.array(list(config.mix.values()), float)
    name = str(rng.choice(names, p=shares / shares.sum()))
    strength = config.randomize * max(0.0, 2 * rng.random() - 1)

    env = _environment(task, object_name, config)
    _, info = env.reset(seed=seed, options={"randomize": strength})
    agent = None
    if BEHAVIORS[name].needs_agent and config.checkpoint is not None:
        agent = _load_acting(
            config.agent, config.checkpoint, config.agent_planner, arm=config.arm, gripper=config.gripper
        )
    behavior = BEHAVIORS[name].make(env, rng, agent)
    builder = SimEpisodeBuilder(env, config.cameras)
    builder.add_row(info)

    def on_step(step: Step) -> bool:
        builder.add_row(step.info, behavior.meant)
        return behavior.finished()

    with suppress(ArmFault):  # the episode ends where the arm was stopped
        rollout(env, behavior, on_step, config.steps)
    details = {
        "task": task,
        "object": object_name,
        "randomize": strength,
        "arm": config.arm,
        "gripper": config.gripper,
    }
    episode = builder.build(success=builder.success_ever, behavior=name, seed=seed, details=details)
    write_episode(out, index, episode)
    return name, builder.success_ever, len(episode)


def _environment(task: str, object_name: str, config: CollectConfig) -> SimEnv:
    key = (task, object_name, config.arm, config.gripper, config.size)
    if key not in _ENVIRONMENTS:
        from vjepa_sim.envs.sim_env import SimEnv

        _ENVIRONMENTS[key] = SimEnv(task, object_name, arm=config.arm, gripper=config.gripper, size=config.size)
    return _ENVIRONMENTS[key]
