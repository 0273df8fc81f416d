"""Collection of labelled episodes, in this process or in parallel ones."""

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
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from vjepa_sim.agents.agent import card_of
from vjepa_sim.agents.collection.config import CollectConfig
from vjepa_sim.agents.collection.recorder import Recorded, Recorder
from vjepa_sim.agents.registry import load_agent
from vjepa_sim.data.formats.droid import VERSION_FOLDER, episode_folder
from vjepa_sim.data.interrupt import noted_interrupt
from vjepa_sim.data.output import claimed
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.scene.cameras import LEFT
from vjepa_sim.envs.simulation.simulation import PERIOD

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
        workers: number of processes; 1 for this process alone.
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
    processes = min(workers, len(missing))
    for each in _in_parallel(out, config, missing, processes) if processes > 1 else _alone(out, config, missing):
        behaviors[each.behavior] += 1
        successes[each.behavior] += each.success
        frames += each.frames
        on_progress(sum(behaviors.values()), len(missing))
    present = sum(_exists(out, index) for index in range(config.episodes))
    return Collected(written=len(missing), present=present, frames=frames, successes=successes, behaviors=behaviors)


def _exists(out: Path, index: int) -> bool:
    return any(episode_folder(out, index, success).exists() for success in (True, False))


def _alone(out: Path, config: CollectConfig, missing: list[int]) -> Iterator[Recorded]:
    """Record in this process; Ctrl-C stops after the running episode."""
    with closing(Recorder(out, config)) as recorder, noted_interrupt() as interrupt:
        for index in missing:
            yield recorder.record(index)
            if interrupt.noted:
                raise KeyboardInterrupt


# --- in parallel processes ------------------------------------------------------------------------------


def _in_parallel(out: Path, config: CollectConfig, missing: list[int], processes: int) -> Iterator[Recorded]:
    """Record in several processes; Ctrl-C stops after the running episodes."""
    context = get_context("spawn")  # a renderer's context doesn't survive a fork
    with ProcessPoolExecutor(processes, context, initializer=_start, initargs=(os.getpid(), out, config)) as pool:
        with _interrupts_blocked():  # inherited by the processes, so that only the parent receives Ctrl-C and SIGHUP
            futures = [pool.submit(_record, index) for index in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process died, most likely because memory ran out. Finished episodes are kept: give the same "
                "command again, with fewer --workers."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_recorder: Recorder  # of this worker process


def _start(parent: int, out: Path, config: CollectConfig) -> None:
    """Ignore Ctrl-C and a closed terminal, which the parent handles by finishing the running episodes; end when the
    parent is killed."""
    global _recorder
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _recorder = Recorder(out, config)


def _record(index: int) -> Recorded:
    return _recorder.record(index)
