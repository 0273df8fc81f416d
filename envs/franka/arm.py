"""A real Franka behind the :class:`envs.arm.Arm` contract."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from envs import pose
from envs.cameras import Grabber
from envs.errors import UserError
from envs.faults import GripperFault
from envs.franka.driver import Driver, RobotState
from envs.franka.joint_motion import move_joints
from envs.franka.servo import Servo, ServoSettings
from envs.grippers import Gripper
from envs.leash import GRIPPER_DEADBAND, gripper_target, leashed
from envs.observation import Observation, check_action
from envs.panda import home_joints
from envs.pose import GRIPPER, POSITION, ROTATION
from envs.status import ArmStatus

PERIODS = (0.25, 5.0)  # s: a compliant arm needs the shortest to settle
SETTLE_TIME = 1.5  # s after a period in which the arm may still come to rest
AT_REST = 0.01  # m/s
FIRST_FRAME_TIME = 3.0  # s to wait for a picture that is newer than the motion
HOME_SPEED = 0.15  # share of the robot's full speed
GRIPPER_SILENCE = 2.0  # s: a serial line that has lost one message asks again after 1


class FrankaArm:
    """Deltas move a commanded pose, on a leash to the measured one, exactly as in :class:`envs.sim_arm.SimArm`.

    A servo thread leads the compliant arm to that pose and asks the safety envelope in every tick. A fault stops the
    arm, and is raised by the next call. Nothing is ever recovered by itself.

    Attributes:
        period: seconds that one command takes.
        gripper: ``robotiq`` or ``panda_hand``.
        simulated: whether there is no metal.
        description: which software talks to the robot.
        camera_card: the camera's address, as it is kept beside goals.
    """

    simulated = False

    def __init__(
        self,
        driver: Driver,
        gripper: Gripper,
        camera: Grabber,
        gripper_kind: str = "robotiq",
        period: float = 1.0,
        servo: ServoSettings | None = None,
        max_force: float = 25.0,
    ):
        """
        Args:
            driver: of the robot.
            gripper: on its flange.
            camera: that looks at it.
            gripper_kind: ``robotiq`` or ``panda_hand``.
            period: seconds of a step.
            servo: how fast it moves.
            max_force: newtons at which the robot's own loop stops it.
        """
        if not PERIODS[0] <= period <= PERIODS[1]:
            raise UserError(f"period={period}: a real arm takes steps of {PERIODS[0]} to {PERIODS[1]} s.")
        self.period, self.gripper = float(period), gripper_kind
        self._driver, self._gripper, self._camera = driver, gripper, camera
        self.description, self.camera_card = driver.description, {"address": camera.name}
        self._max_force = max_force
        self._check: Callable[[ArmStatus], None] = lambda status: None
        self._usual = servo or ServoSettings()
        self._servo = Servo(driver, self._usual, self._watch)
        self._commanded = np.zeros(pose.STATE_DIM)
        self._last_command: float | None = None
        self._arrived_at = 0.0

    # --- the contract -----------------------------------------------------------------------------------------

    @property
    def target(self) -> np.ndarray:
        """The state [7] that the next command starts from."""
        return leashed(self._commanded, self._measured(self._servo.state))

    def watch(self, check: Callable[[ArmStatus], None]) -> None:
        """Ask ``check`` in every tick; it raises an :class:`envs.faults.ArmFault` if the arm must stop."""
        self._check = check

    def reset(self) -> Observation:
        """Take hold of the arm where it is, and look."""
        self._last_command = None  # before the servo looks: the arm may have been moved since
        if not self._servo.running:
            self._camera.latest()  # waits for the first picture: an arm that nobody sees is a fault
            self._servo.start(self._max_force)
        self._commanded = self._measured(self._servo.state)
        return self.observe()

    def observe(self) -> Observation:
        """A picture that was taken after the last motion had settled, and the state at that time."""
        self._servo.raise_fault()
        self._check_gripper()
        rgb, stamp = self._camera.wait_newer(self._arrived_at, FIRST_FRAME_TIME)
        return Observation(np.array(rgb), self._measured(self._servo.state).astype(np.float32), stamp)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Move for one period, and until the arm is at rest; returns the action [7] that was sent."""
        action = check_action(action)
        start = time.monotonic()
        commanded = self.target
        goal = pose.integrate(commanded, action)
        goal[GRIPPER] = gripper_target(self._gripper.commanded, self._gripper.closedness, action[GRIPPER])
        self._servo.go(_matrix(goal))
        self._gripper.command(float(goal[GRIPPER]))
        self._commanded, self._last_command = goal, start
        self._servo.wait(self._at_rest, self.period + SETTLE_TIME)
        self._arrived_at = time.monotonic()
        self._servo.wait(lambda: False, start + self.period - time.monotonic())
        sent = pose.difference(commanded, goal)
        sent[GRIPPER] = 0.0 if abs(action[GRIPPER]) < GRIPPER_DEADBAND else action[GRIPPER]
        return sent

    def status(self) -> ArmStatus:
        """How the arm is doing.

        Raises:
            ArmFault: what stopped it.
        """
        return self._status(self._servo.state, 0.0)

    def close(self) -> None:
        """Come to rest and let go of robot, gripper and camera, whatever is broken by now."""
        for part in (self._servo.stop, self._gripper.close, self._driver.close, self._camera.close):
            with suppress(Exception):  # the others must be closed too
                part()

    # --- beyond the contract ----------------------------------------------------------------------------------

    def release(self) -> None:
        """Come to rest, and neither control nor watch the arm until :meth:`reset`."""
        self._servo.stop()

    def go_home(self) -> None:
        """Move slowly to DROID's reset posture and open the gripper. The way must be free: the operator looks."""
        self._servo.stop()
        self._gripper.command(0.0)
        move_joints(self._driver, home_joints(self.gripper), HOME_SPEED, self._max_force)

    def glimpse(self) -> Observation:
        """What is seen now, also while the arm isn't controlled."""
        rgb, stamp = self._camera.latest()
        return Observation(np.array(rgb), self._measured(self.robot_state()).astype(np.float32), stamp)

    def set_speed(self, share: float) -> None:
        """Move at a share of the usual speed from now on."""
        usual = self._usual
        self._servo.settings = replace(usual, speed=share * usual.speed, turning_speed=share * usual.turning_speed)

    def held_success_rate(self, seconds: float) -> float:
        """Hold still for some seconds; returns the share of control packets that arrived in time at the end."""
        until = time.monotonic() + seconds
        self._servo.wait(lambda: time.monotonic() >= until, seconds + 1.0)
        return self._servo.state.success_rate

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Watch the camera for so long: pictures per second, and the longest wait for one in seconds."""
        stamps = [self._camera.latest()[1]]
        while stamps[-1] - stamps[0] < seconds:
            stamps.append(self._camera.wait_newer(stamps[-1], FIRST_FRAME_TIME)[1])
        waits = np.diff(stamps)
        return len(waits) / float(waits.sum()), float(waits.max())

    def judge(self) -> None:
        """Nobody measures here; a person judges."""
        return None

    def robot_state(self) -> RobotState:
        """What the robot reports, also while it isn't controlled."""
        return self._servo.state if self._servo.running else self._driver.read()

    # --- inside -----------------------------------------------------------------------------------------------

    def _measured(self, state: RobotState) -> np.ndarray:
        """float64 [7]."""
        return np.concatenate([state.pose[:3, 3], pose.matrix_to_euler(state.pose[:3, :3]), [self._gripper.closedness]])

    def _at_rest(self) -> bool:
        before = self._servo.state
        time.sleep(2 / self._servo.settings.rate)
        after = self._servo.state
        passed = after.clock - before.clock
        moved = np.linalg.norm(after.pose[:3, 3] - before.pose[:3, 3])
        return self._servo.arrived and passed > 0 and moved / passed < AT_REST

    def _watch(self, state: RobotState, clock_age: float) -> None:
        self._check_gripper()
        self._check(self._status(state, clock_age))

    def _check_gripper(self) -> None:
        self._gripper.check()
        age = self._gripper.age
        if age > GRIPPER_SILENCE:
            raise GripperFault(f"It has not answered for {age:.1f} s.", "gripper_silence", age)

    def _status(self, state: RobotState, clock_age: float) -> ArmStatus:
        silence = 0.0 if self._last_command is None else time.monotonic() - self._last_command
        return ArmStatus(
            state=self._measured(state),
            target=self._commanded,
            arrived=self._servo.arrived and silence > self.period + SETTLE_TIME,
            joints=state.joints,
            force=float(np.linalg.norm(state.force)),
            clock_age=clock_age,
            camera_age=self._camera.age,
            silence=silence,
        )


def _matrix(state: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = pose.euler_to_matrix(state[ROTATION])
    matrix[:3, 3] = state[POSITION]
    return matrix
