"""Endurance test of the loopback robot: step times, settling errors, and memory over time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from vjepa_sim.envs.backends import make_robot
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ArmFault
from vjepa_sim.envs.pose import ACTION_DIM, GRIPPER, POSITION, ROTATION, difference
from vjepa_sim.envs.robot_env import RobotEnv

if TYPE_CHECKING:
    from vjepa_sim.envs.loopback.twin import LoopbackArm

PERIOD = 0.25  # s
WARM_UP = 20.0  # s in which memory may still grow; at most a third of the duration
SAMPLING = 2.0  # s between two samples of a process
SPAN = np.array([0.003, 0.003, 0.003, 0.0, 0.0, 0.01, 0.0])  # metres and radians; larger steps take more than a period
CLOSEDNESS = 0.5  # closedness to which the gripper sometimes closes
COLUMNS = ("seconds", "off_mm", "off_rad", "link_quality", "stamp", "lead")


def bench_robot(minutes: float, report: Callable[[int, int], None], host: str = "127.0.0.1") -> dict:
    """Drive the loopback robot by small random motions at 4 Hz that end where they began.

    Args:
        minutes: duration.
        report: called with the seconds so far and in all.
        host: address of the loopback robot.

    Returns:
        Step times and settling errors; the number of images whose stamps do not increase, or precede their command; the
        drift from the start; memory, threads and files of this process and of the robot's; and ``fault``, the fault
        that ended the run early, or "".

    Raises:
        UserError: the duration is not above 0, or the loopback robot can't be opened.
    """
    if not 0 < minutes < math.inf:
        raise UserError(f"--minutes {minutes:g}: give a time above 0.")
    env = make_robot("reach", "loopback", host=host, period=PERIOD)
    try:
        env.reset(options={"goal": env.robot.glimpse().rgb})
        robot = cast("LoopbackArm", env.robot).robot
        return _drive(env, robot.pid, 60 * minutes, report)
    finally:
        env.close()


def _drive(env: RobotEnv, pid: int, seconds: float, report: Callable[[int, int], None]) -> dict:
    rng, away, fault = np.random.default_rng(0), np.zeros(ACTION_DIM), ""
    rows = np.full((math.ceil(seconds / PERIOD) + 1, len(COLUMNS)), np.nan)  # at once: it must not grow
    processes = {"client": _Process(os.getpid()), "robot": _Process(pid)}
    home, first_stamp = env.observation.state, env.observation.stamp
    warm_up, start, done, sampled = min(WARM_UP, seconds / 3), time.monotonic(), 0, -math.inf
    try:
        while (passed := time.monotonic() - start) < seconds:
            report(int(passed), math.ceil(seconds))
            if passed >= warm_up and passed - sampled >= SAMPLING:
                sampled = passed
                for process in processes.values():
                    process.sample(passed)
            there = rng.uniform(-SPAN, SPAN)
            there[GRIPPER] = rng.choice([0.0, CLOSEDNESS])
            rows[done] = _step(env, there - away)
            away, done = there, done + 1
        rows[done] = _step(env, -away)
        done += 1
    except ArmFault as error:
        if not done:
            raise
        fault = str(error)
    report(math.ceil(seconds), math.ceil(seconds))
    for process in processes.values():
        process.sample(time.monotonic() - start)
    steps = dict(zip(COLUMNS, rows[:done].T, strict=True))
    return {
        "commands": done,
        "step_seconds_median": float(np.median(steps["seconds"])),
        "step_seconds_p95": float(np.quantile(steps["seconds"], 0.95)),
        "settling_error_mm": _spread(steps["off_mm"]),
        "settling_error_rad": _spread(steps["off_rad"]),
        "control_success_rate": {
            "median": float(np.median(steps["link_quality"])),
            "min": float(steps["link_quality"].min()),
        },
        "frames": len(np.unique(steps["stamp"])),
        "stamps_out_of_order": int(np.sum(np.diff(steps["stamp"], prepend=first_stamp) <= 0)),
        "stamps_early": int(np.sum(steps["lead"] < 0)),
        "drift_mm": None if fault else 1000 * float(np.linalg.norm((env.observation.state - home)[POSITION])),
        "fault": fault,
        **{name: process.numbers() for name, process in processes.items()},
    }


def _step(env: RobotEnv, action: np.ndarray) -> tuple[float, ...]:
    """A row of :data:`COLUMNS`."""
    start = time.monotonic()
    env.step(action)
    passed = time.monotonic() - start
    stamp, off = env.observation.stamp, difference(env.observation.state, env.arm.status().target)
    return (
        passed,
        1000 * float(np.linalg.norm(off[POSITION])),
        float(np.linalg.norm(off[ROTATION])),
        _link_quality(env),
        stamp,
        stamp - start,
    )


def _link_quality(env: RobotEnv) -> float:
    quality = env.robot.robot_state().link_quality
    return math.nan if quality is None else quality


def _spread(values: np.ndarray) -> dict[str, float]:
    return {"median": float(np.median(values)), "p95": float(np.quantile(values, 0.95))}


class _Process:
    """Memory, threads and open files of a process over time, from Linux's /proc."""

    def __init__(self, pid: int):
        self._folder = Path(f"/proc/{pid}")
        self._samples: list[tuple[float, ...]] = []

    def sample(self, seconds: float) -> None:
        fields = dict(line.split(":", 1) for line in (self._folder / "status").read_text().splitlines())
        if "VmRSS" not in fields:  # it has ended
            return
        megabytes = int(fields["VmRSS"].split()[0]) / 1024
        files = sum(1 for _ in (self._folder / "fd").iterdir())
        self._samples.append((seconds, megabytes, int(fields["Threads"]), files))

    def numbers(self) -> dict:
        if not self._samples:
            return {}
        seconds, megabytes, threads, files = np.array(self._samples).T
        several = np.ptp(seconds) > 0
        return {
            "memory_mb_start": float(megabytes[0]),
            "memory_mb_end": float(megabytes[-1]),
            "memory_mb_per_hour": 3600 * float(np.polyfit(seconds, megabytes, 1)[0]) if several else 0.0,
            "threads_start": int(threads[0]),
            "threads_end": int(threads[-1]),
            "files_start": int(files[0]),
            "files_end": int(files[-1]),
        }
