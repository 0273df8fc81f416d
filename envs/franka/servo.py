"""The thread between a slow agent and a fast robot: it leads the reference to the goal, and watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from envs.faults import ArmFault, NotFinite
from envs.franka.driver import Driver, RobotState


ENDING = 10.0  # s for the arm to come to rest


@dataclass(frozen=True)
class ServoSettings:
    """How the reference travels.

    Attributes:
        rate: Hz.
        speed: metres per second.
        turning_speed: radians per second.
        integral_gain: per second; joint friction leaves a compliant arm up to 12 mm short of its reference.
        integral_limit: metres that the reference may lead by for that.
    """

    rate: float = 50.0
    speed: float = 0.25
    turning_speed: float = 0.8
    integral_gain: float = 1.5
    integral_limit: float = 0.02


class Servo:
    """Owns the driver while it runs. A fault stops the arm at once, and is raised in whoever asks next.

    Attributes:
        settings: how the reference travels.
    """

    def __init__(self, driver: Driver, settings: ServoSettings, watch: Callable[[RobotState, float], None]):
        """
        Args:
            driver: of the robot.
            settings: how the reference travels.
            watch: called in every tick with the robot's state and the seconds for which its clock has stood still;
                raises an :class:`ArmFault` if the arm must stop.
        """
        self.settings = settings
        self._driver, self._watch = driver, watch
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._fault: ArmFault | None = None
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self, max_force: float) -> None:
        """Hold the present pose.

        Args:
            max_force: newtons at which the robot's own loop ends the motion.

        Raises:
            ArmFault: the robot can't be controlled.
        """
        self._driver.start(max_force)
        state = self._driver.read()
        self._state, self._clock, self._clock_changed = state, state.clock, time.monotonic()
        self._goal = self._reference = state.pose.copy()
        self._integral = np.zeros(3)
        self._fault, self._running = None, True
        self._thread = threading.Thread(target=self._run, name="servo", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the arm is under control."""
        return self._running

    @property
    def state(self) -> RobotState:
        """The newest state.

        Raises:
            ArmFault: what stopped the arm.
        """
        with self._lock:
            self._raise()
            return self._state

    @property
    def goal(self) -> np.ndarray:
        """The pose [4, 4] that the reference is led to."""
        with self._lock:
            return self._goal.copy()

    def go(self, pose: np.ndarray) -> None:
        """Lead the reference to a flange pose [4, 4] from now on.

        Raises:
            ArmFault: what stopped the arm.
        """
        with self._lock:
            self._raise()
            self._goal = pose.copy()

    @property
    def arrived(self) -> bool:
        """Whether the reference has reached the goal."""
        with self._lock:
            return bool(np.allclose(self._reference, self._goal, atol=1e-6))

    def wait(self, done: Callable[[], bool], timeout: float) -> bool:
        """Until something is so; looks again after every tick.

        Args:
            done: called without the servo's lock.
            timeout: seconds.

        Returns:
            Whether it became so in time.

        Raises:
            ArmFault: what stopped the arm meanwhile.
        """
        deadline = time.monotonic() + timeout
        while not done():
            with self._lock:
                self._raise()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(min(left, 0.1))
        return True

    def stop(self) -> None:
        """Come to rest and end the thread."""
        self._running = False
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)
        self._driver.stop()

    def raise_fault(self) -> None:
        """Raise what stopped the arm, if something has."""
        with self._lock:
            self._raise()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        period = 1 / self.settings.rate
        due = time.monotonic()
        while self._running:
            try:
                self._tick(period)
            except ArmFault as fault:
                self._end(fault)
                return
            except Exception as error:  # a mistake of ours must stop the arm too
                self._end(ArmFault(f"the servo failed ({type(error).__name__}: {error})."))
                return
            due = max(due + period, time.monotonic() - period)  # a late tick isn't made up for by a burst
            time.sleep(max(0.0, due - time.monotonic()))

    def _end(self, fault: ArmFault) -> None:
        self._running = False
        try:
            self._driver.stop()
        finally:
            with self._lock:
                self._fault = fault
                self._moved.notify_all()

    def _tick(self, period: float) -> None:
        self._driver.check()
        state, now = self._driver.read(), time.monotonic()
        if state.clock != self._clock:
            self._clock, self._clock_changed = state.clock, now
        self._watch(state, now - self._clock_changed)
        with self._lock:
            self._state = state
            self._reference = _toward(self._reference, self._goal, self.settings, period)
            short = self._reference[:3, 3] - state.pose[:3, 3]
            limit = self.settings.integral_limit
            self._integral = np.clip(self._integral + self.settings.integral_gain * period * short, -limit, limit)
            reference = self._reference.copy()
            reference[:3, 3] += self._integral
            self._moved.notify_all()
        self._driver.follow(reference)


def _toward(start: np.ndarray, goal: np.ndarray, settings: ServoSettings, period: float) -> np.ndarray:
    """A pose [4, 4] on the way, as far as the speeds allow in one period."""
    way = goal[:3, 3] - start[:3, 3]
    turn = (Rotation.from_matrix(goal[:3, :3]) * Rotation.from_matrix(start[:3, :3]).inv()).as_rotvec()
    needed = max(np.linalg.norm(way) / settings.speed, np.linalg.norm(turn) / settings.turning_speed)
    if needed <= period:
        return goal.copy()
    share = period / needed
    pose = start.copy()
    pose[:3, 3] += share * way
    pose[:3, :3] = (Rotation.from_rotvec(share * turn) * Rotation.from_matrix(start[:3, :3])).as_matrix()
    return pose
