"""The servo thread between a slow agent and a fast robot: it moves the reference to the goal, and checks the limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.envs.faults import ArmFault, NotFinite
from vjepa_sim.envs.franka.clock import LONGEST_STEP, ClockWatch
from vjepa_sim.envs.franka.driver import Driver
from vjepa_sim.envs.robot import RobotState

ENDING = 10.0  # s for the arm to come to rest
AT_REST = 0.03  # m/s below which the remaining error is due to friction, and not to the arm's lag behind the reference
NEAR, TURNED = 0.002, 0.01  # m and rad; at smaller errors, integral action makes the arm stick and slip
FORGETTING = 0.2  # s, time constant by which a new motion removes the lead of the previous one


@dataclass(frozen=True, kw_only=True)
class ServoSettings:
    """Rate, speeds and integral action of the :class:`Servo`.

    Speeds and times are measured by the robot's clock: when the robot falls behind, the reference waits for it.

    Attributes:
        rate: updates of the reference, Hz.
        speed: speed of the reference, metres per second.
        turning_speed: its angular speed, radians per second.
        integral_gain: gain of the integral action, per second; without it, joint friction leaves a compliant arm up to
            12 mm short of its goal.
        integral_limit: largest lead of the reference by integral action, metres per axis.
        turning_limit: largest lead in rotation, radians per axis.
    """

    rate: float = 50.0
    speed: float = 0.25
    turning_speed: float = 0.8
    integral_gain: float = 2.5
    integral_limit: float = 0.02
    turning_limit: float = 0.05


class Servo:
    """Owns the driver while it runs. A fault stops the arm at once, and is raised by all later calls.

    After a fault it never starts again: a person must inspect the arm and open it again.

    Attributes:
        settings: rate, speeds and integral action.
    """

    def __init__(self, driver: Driver, settings: ServoSettings, watch: Callable[[RobotState, float], None]):
        """
        Args:
            driver: driver of the robot.
            settings: rate, speeds and integral action.
            watch: called in every tick with the robot's state and the seconds for which its clock has stood still, see
                :class:`.ClockWatch`; raises an :class:`.ArmFault` if the arm must stop.
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
            ArmFault: the robot can't be controlled, or an earlier fault.
        """
        self.raise_fault()
        self._join()
        self._driver.start(max_force)
        try:
            state = self._driver.read()
        except BaseException:
            self._driver.stop()
            raise
        with self._lock:
            self._state, self._clock = state, ClockWatch(state.clock)
            self._goal = self._reference = state.pose.copy()
            self._lead = np.zeros(6)  # of the reference that is sent: metres, and a rotation vector
            self._running = True
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
            ArmFault: the fault that stopped the arm.
        """
        with self._lock:
            self._raise()
            return self._state

    def go(self, pose: np.ndarray) -> None:
        """Set a flange pose [4, 4] as the goal of the reference.

        Raises:
            NotFinite: the pose is not finite; the previous goal remains.
            ArmFault: the fault that stopped the arm.
        """
        if not np.all(np.isfinite(pose)):
            raise NotFinite(f"The pose {pose[:3, 3].tolist()} is not finite.")
        with self._lock:
            self._raise()
            self._goal = np.array(pose, float)

    @property
    def arrived(self) -> bool:
        """Whether the reference has reached the goal."""
        with self._lock:
            return bool(np.allclose(self._reference, self._goal, atol=1e-6))

    def wait(self, done: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds; it is evaluated after every tick.

        Args:
            done: the condition, called without the servo's lock.
            timeout: time limit, seconds.

        Returns:
            Whether the condition held in time.

        Raises:
            ArmFault: the fault that stopped the arm meanwhile.
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
        """Bring the arm to rest and end the thread; safe to call at any time."""
        self._running = False
        try:
            self._join()
        finally:  # also when Ctrl-C is pressed again
            self._driver.stop()

    def fail(self, fault: ArmFault) -> None:
        """Stop with a fault that was found elsewhere; the first fault is kept."""
        with self._lock:  # before stop(), which may take seconds: other threads must see the fault at once
            self._running, self._fault = False, self._fault or fault
            self._moved.notify_all()
        self.stop()

    def raise_fault(self) -> None:
        """Raise the fault that stopped the arm, if any."""
        with self._lock:
            self._raise()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault.with_traceback(None)  # a traceback would grow each time it is raised

    def _join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(ENDING)

    def _run(self) -> None:
        period = 1 / self.settings.rate
        due = time.monotonic()
        while self._running:
            try:
                self._tick(period)
            except ArmFault as fault:
                self.fail(fault)
                return
            except Exception as error:  # an error in this program must stop the arm too
                self.fail(ArmFault(f"the servo failed ({type(error).__name__}: {error})."))
                return
            due = max(due + period, time.monotonic() - period)  # a late tick is not followed by a burst
            time.sleep(max(0.0, due - time.monotonic()))

    def _tick(self, period: float) -> None:
        self._driver.check()
        state = self._driver.read()
        passed = min(state.clock - self._state.clock, LONGEST_STEP * period)
        self._watch(state, self._clock.update(state.clock))
        with self._lock:
            if passed > 0:
                self._advance(state, passed)
            reference = _ahead(self._reference, self._lead)
            self._moved.notify_all()
        self._driver.follow(reference)

    def _advance(self, state: RobotState, passed: float) -> None:
        """One step of the reference, and of its lead by integral action."""
        settings, before = self.settings, self._state
        moving = np.linalg.norm(state.pose[:3, 3] - before.pose[:3, 3]) > AT_REST * (state.clock - before.clock)
        self._state = state
        self._reference = _toward(self._reference, self._goal, settings, passed)
        if not np.array_equal(self._reference, self._goal):
            self._lead *= max(0.0, 1 - passed / FORGETTING)
        elif not moving:
            limits = np.repeat([settings.integral_limit, settings.turning_limit], 3)
            short = pose_difference(state.pose, self._goal)
            short[:3] *= np.linalg.norm(short[:3]) > NEAR
            short[3:] *= np.linalg.norm(short[3:]) > TURNED
            self._lead = np.clip(self._lead + settings.integral_gain * passed * short, -limits, limits)


def pose_difference(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Difference [6] of two poses [4, 4]: metres, and a rotation vector in radians, base frame."""
    turn = Rotation.from_matrix(end[:3, :3] @ start[:3, :3].T)  # checks its matrix in 0.2 ms
    return np.concatenate([end[:3, 3] - start[:3, 3], turn.as_rotvec()])


def _ahead(pose: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """The pose [4, 4] at a difference [6] from another, see :func:`pose_difference`."""
    result = pose.copy()
    result[:3, 3] += difference[:3]
    result[:3, :3] = Rotation.from_rotvec(difference[3:]).as_matrix() @ pose[:3, :3]
    return result


def _toward(start: np.ndarray, goal: np.ndarray, settings: ServoSettings, passed: float) -> np.ndarray:
    """A pose [4, 4] on the way to the goal, as far as the speeds allow in the seconds ``passed``."""
    way = pose_difference(start, goal)
    needed = max(np.linalg.norm(way[:3]) / settings.speed, np.linalg.norm(way[3:]) / settings.turning_speed)
    return goal.copy() if needed <= passed else _ahead(start, passed / needed * way)
