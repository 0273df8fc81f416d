"""Slow joint-space motion from one posture to another, under joint impedance."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from vjepa_sim.envs.arms.panda import JOINT_SPEEDS
from vjepa_sim.envs.faults import UnreachablePose
from vjepa_sim.envs.franka.clock import LONGEST_STEP, ClockWatch
from vjepa_sim.envs.franka.driver import Driver
from vjepa_sim.envs.robot import RobotState

PERIOD = 0.01  # s
ARRIVED, AT_REST = 0.015, 0.02  # rad, rad/s
SETTLE_TIME = 3.0  # s
PEAK = 1.5  # peak speed of the ramp over its mean speed


def move_joints(
    driver: Driver, joints: np.ndarray, *, speed: float, max_force: float, watch: Callable[[RobotState, float], None]
) -> None:
    """Move to a posture along a straight line in joint space; returns or raises with the arm at rest.

    Times and speeds are measured by the robot's clock: when the robot falls behind, the reference waits for it.

    Args:
        driver: driver of the robot, without a motion in progress.
        joints: target joint positions [7], radians.
        speed: share of the joints' highest speeds, in (0, 1].
        max_force: newtons at which the robot's own loop ends the motion.
        watch: called in every period, as by :class:`.Servo`.

    Raises:
        UnreachablePose: the arm did not reach the target.
        ArmFault: any other fault that stopped it.
    """
    driver.start_joints(max_force)
    try:
        state = driver.read()
        start, clock = state.joints, ClockWatch(state.clock)
        way = joints - start
        duration = max(float(PEAK * np.max(np.abs(way) / (speed * JOINT_SPEEDS))), PERIOD)
        passed = 0.0
        while passed < duration + SETTLE_TIME:
            before, state = state, _next(driver, clock, watch)
            passed += min(state.clock - before.clock, LONGEST_STEP * PERIOD)
            share = min(passed / duration, 1.0)
            driver.follow_joints(start + (3 - 2 * share) * share**2 * way, 6 * share * (1 - share) / duration * way)
            if share == 1.0 and _settled(before, state, joints):
                return
        short = float(np.abs(joints - state.joints).max())
        raise UnreachablePose(f"A joint stopped {short:.3f} rad from its target.", "", short)
    finally:
        driver.stop()


def _next(driver: Driver, clock: ClockWatch, watch: Callable[[RobotState, float], None]) -> RobotState:
    """The state after one period; raises if the robot has a fault."""
    time.sleep(PERIOD)
    driver.check()
    state = driver.read()
    watch(state, clock.update(state.clock))
    return state


def _settled(before: RobotState, state: RobotState, joints: np.ndarray) -> bool:
    passed = state.clock - before.clock
    moved = np.abs(state.joints - before.joints).max()
    return passed > 0 and moved < AT_REST * passed and bool(np.abs(joints - state.joints).max() < ARRIVED)
