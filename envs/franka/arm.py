"""A real Franka behind the :class:`.Arm` contract."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np

from vjepa_sim.envs import pose
from vjepa_sim.envs.arms.panda import JOINTS_HIGH, JOINTS_LOW, PANDA
from vjepa_sim.envs.cameras import Grabber
from vjepa_sim.envs.cameras.image_check import ImageWatch
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import ArmFault, GripperFault, OutOfWorkspace
from vjepa_sim.envs.franka.driver import Driver
from vjepa_sim.envs.franka.joint_motion import move_joints
from vjepa_sim.envs.franka.servo import Servo, ServoSettings, pose_difference
from vjepa_sim.envs.grippers import GRIPPERS, Gripper
from vjepa_sim.envs.leash import GRIPPER_DEADBAND, gripper_target, leashed
from vjepa_sim.envs.observation import Observation, check_action
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION
from vjepa_sim.envs.robot import RobotState
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.envs.status import ArmStatus

PERIODS = (0.25, 5.0)  # s: a compliant arm needs the shortest to settle
SETTLE_TIME = 1.5  # s after a period, at the usual speed, for the arm to come to rest
AT_REST, TURN_AT_REST = 0.01, 0.03  # m/s, rad/s
HAD_TIME = 0.9  # share of a command's time limit after which it is over; the newest state is a little old
FIRST_FRAME_TIME = 3.0  # s to wait for an image that is newer than the motion
HOME_SPEED = 0.15  # share of the robot's full speed
GRIPPER_SILENCE = 2.0  # s: a serial line repeats a lost message after 1
FINGER_POLL = 0.3  # s between two readings while fingers move
FINGER_REST = 0.001  # closedness by which resting fingers may change between two readings
FINGER_THERE = 0.05  # closedness by which they may miss their target
FINGER_READINGS = 4  # readings without motion after which fingers count as stopped elsewhere
FINGER_TIME = 5.0  # s, the limit for a finger motion


class FrankaArm:
    """An arm whose actions move a commanded pose with a limited lead over the measured one, as in :class:`.SimArm`.

    A servo thread moves the compliant arm to that pose and calls the safety envelope in every tick. A fault stops the
    arm and persists: every call but :meth:`close` raises it from then on. There is no automatic recovery: a person
    must inspect the arm and open it again.

    Attributes:
        period: control period, seconds.
        arm_name: ``panda``, also for an FR3.
        gripper: ``robotiq`` or ``panda_hand``.
        simulated: whether the robot is simulated.
        description: software that talks to the robot.
        camera_card: address of the camera, stored with captured goals.
    """

    simulated = False
    arm_name = PANDA.name

    def __init__(
        self,
        driver: Driver,
        gripper: Gripper,
        camera: Grabber,
        *,
        gripper_kind: str = "robotiq",
        period: float = 1.0,
        servo: ServoSettings | None = None,
        max_force: float = SafetyLimits.max_force,
    ):
        """
        Args:
            driver: connection to the robot.
            gripper: gripper on its flange.
            camera: camera that sees the scene.
            gripper_kind: ``robotiq`` or ``panda_hand``.
            period: control period, seconds.
            servo: speeds and gains, or None for the defaults.
            max_force: newtons at which the robot's own loop stops it.
        """
        check_period(period)
        self.period, self.gripper = float(period), gripper_kind
        self._driver, self._gripper, self._camera = driver, gripper, camera
        self.description, self.camera_card = driver.description, {"address": camera.name}
        self._max_force = max_force
        self._images = ImageWatch(camera.name)
        self._check: Callable[[ArmStatus], None] = lambda status: None
        self._usual = servo or ServoSettings()
        self._servo = Servo(driver, self._usual, self._watch)
        self._settle_time = SETTLE_TIME
        # The pose that the arm was sent to, and the pose that the next command is relative to.
        self._sent = self._commanded = np.zeros(pose.STATE_DIM)
        self._arrived = False  # whether the motion to it is over: the arm rests, or its time has passed
        self._agents_turn: float | None = None  # time since which the agent's next command is awaited
        self._arrived_at = 0.0
        atexit.register(self.close)  # a program that ends without closing leaves the arm at rest

    # --- Arm --------------------------------------------------------------------------------------------------

    @property
    def target(self) -> np.ndarray:
        """The state [7] that the next command is relative to; the measured state while the arm isn't controlled."""
        self._servo.raise_fault()
        return self._commanded.copy() if self._servo.running else self._measured(self.robot_state())

    def watch(self, check: Callable[[ArmStatus], None]) -> None:
        """Call ``check`` in every tick; it raises an :class:`.ArmFault` if the arm must stop."""
        self._check = check

    def reset(self) -> Observation:
        """Take control of the arm where it is. A Robotiq that isn't active **opens and closes fully** first.

        Raises:
            ArmFault: the arm can't be controlled, or an earlier fault.
        """
        self._servo.raise_fault()
        self._expect_nothing()
        self._camera.latest()  # waits for the first image: an arm without images must not move
        self._gripper.activate()
        if not self._servo.running:
            self._servo.start(self._max_force)
        here = self._servo.state
        self._servo.go(here.pose)
        self._sent = self._commanded = self._measured(here)
        self._servo.wait(self._at_rest, self._settle_time)
        self._arrived_at = self._agents_turn = time.monotonic()
        self._images.begin()
        return self.observe()

    def observe(self) -> Observation:
        """An image that arrived after the last motion had settled, and the state at that time.

        Raises:
            BlindCamera: the image shows nothing, is frozen, or has another size than before; the arm is stopped.
            ArmFault: any other fault.
        """
        self._servo.raise_fault()
        self._check_gripper()
        rgb, stamp = self._camera.wait_newer(self._arrived_at, FIRST_FRAME_TIME)
        state = self._measured(self.robot_state()).astype(np.float32)
        try:
            self._images.check(rgb, state[POSITION])
        except ArmFault as fault:
            self._servo.fail(fault)
            raise
        return Observation(np.array(rgb), state, stamp)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Move for one period, and until the arm is at rest; returns the action [7] that was sent.

        Raises:
            UserError: the arm isn't controlled.
            UnreachablePose: the arm came to rest away from its target, and stays there.
            ArmFault: any other fault that stopped the arm.
        """
        action = check_action(action)
        self._servo.raise_fault()
        if not self._servo.running:
            raise UserError("The arm isn't under control: call reset() before command().")
        start, clock = time.monotonic(), self._servo.state.clock
        self._expect_nothing()
        goal = pose.integrate(self._commanded, action)
        goal[GRIPPER] = gripper_target(self._gripper.commanded, self._gripper.closedness, action[GRIPPER])
        self._servo.go(_matrix(goal))
        self._gripper.command(float(goal[GRIPPER]))
        sent = pose.difference(self._commanded, goal)
        sent[GRIPPER] = 0.0 if abs(action[GRIPPER]) < GRIPPER_DEADBAND else action[GRIPPER]
        self._sent, limit = goal, self.period + self._settle_time
        try:
            rests = self._servo.wait(self._at_rest, limit)
            self._arrived_at = time.monotonic()
            # By the robot's clock: a robot that falls behind has not had the time yet.
            self._arrived = rests or (self._servo.arrived and self._servo.state.clock - clock > HAD_TIME * limit)
            self._check_arrival()
            self._servo.wait(lambda: False, start + self.period - time.monotonic())
        finally:  # also after Ctrl-C: the agent is awaited from now on
            self._agents_turn = time.monotonic()
        self._commanded = leashed(goal, self._measured(self._servo.state))  # once, so that all readers get the same
        return sent

    def status(self) -> ArmStatus:
        """Status of the arm.

        Raises:
            ArmFault: the fault that stopped it.
        """
        self._servo.raise_fault()
        return self._status(self.robot_state(), 0.0)

    def close(self) -> None:
        """Bring the arm to rest and release robot, gripper and camera, also after faults."""
        atexit.unregister(self.close)
        with ExitStack() as parts:  # in reverse order; each is closed even if another fails, also by Ctrl-C
            for close in (self._camera.close, self._driver.close, self._gripper.close, self._servo.stop):
                parts.enter_context(suppress(Exception))
                parts.callback(close)

    # --- Robot ------------------------------------------------------------------------------------------------

    @property
    def gripper_status(self) -> str:
        """``ready``, or in words what must be done before the gripper can be used."""
        return self._gripper.needs or "ready"

    def release(self) -> None:
        """Bring the arm to rest and give up its control until :meth:`reset`; no limits are checked meanwhile."""
        self._expect_nothing()
        self._servo.stop()

    def go_home(self) -> None:
        """Move slowly to DROID's reset posture, then open the gripper. The operator must check that the way is free.

        All safety limits hold; that of the workspace only once the arm is inside, as the way may begin outside.

        Raises:
            ArmFault: the fault that stopped the arm; it persists.
        """
        self._servo.raise_fault()
        self.release()
        self._gripper.activate()
        self._move_joints(PANDA.home_joints(GRIPPERS[self.gripper].mount_yaw), HOME_SPEED)
        self._send_fingers(0.0)

    def glimpse(self) -> Observation:
        """The present observation, also while the arm isn't controlled."""
        rgb, stamp = self._camera.latest()
        return Observation(np.array(rgb), self._measured(self.robot_state()).astype(np.float32), stamp)

    def set_speed(self, share: float) -> None:
        """Move at a share of the usual speed, in (0, 1], from now on, with longer time limits in proportion."""
        usual = self._usual
        self._settle_time = SETTLE_TIME / share
        self._servo.settings = replace(usual, speed=share * usual.speed, turning_speed=share * usual.turning_speed)

    def held_link_quality(self, seconds: float) -> float | None:
        """Hold the arm still for some seconds; returns the share of control packets that arrived in time."""
        until = time.monotonic() + seconds
        self._servo.wait(lambda: time.monotonic() >= until, seconds + 1.0)
        return self._servo.state.link_quality

    def camera_pace(self, seconds: float) -> tuple[float, float]:
        """Measure the camera for some seconds: images per second, and the longest wait for an image in seconds."""
        stamps = [self._camera.latest()[1]]
        while stamps[-1] - stamps[0] < seconds:
            stamps.append(self._camera.wait_newer(stamps[-1], FIRST_FRAME_TIME)[1])
        waits = np.diff(stamps)
        return len(waits) / float(waits.sum()), float(waits.max())

    def judge(self) -> None:
        """None: on a real arm, a person decides about success."""
        return None

    def robot_state(self) -> RobotState:
        """The state that the robot reports, also while it isn't controlled."""
        return self._servo.state if self._servo.running else self._driver.read()

    # --- implementation ---------------------------------------------------------------------------------------

    def _measured(self, state: RobotState) -> np.ndarray:
        """The measured state, float64 [7]."""
        return np.concatenate([state.pose[:3, 3], pose.matrix_to_euler(state.pose[:3, :3]), [self._gripper.closedness]])

    def _at_rest(self) -> bool:
        before = self._servo.state
        time.sleep(2 / self._servo.settings.rate)
        after = self._servo.state
        passed = after.clock - before.clock
        moved, turned = np.split(pose_difference(before.pose, after.pose), 2)
        slow = np.linalg.norm(moved) < AT_REST * passed and np.linalg.norm(turned) < TURN_AT_REST * passed
        return self._servo.arrived and bool(slow)

    def _expect_nothing(self) -> None:
        """No command is awaited, and no arrival is checked."""
        self._arrived, self._agents_turn = False, None

    def _move_joints(self, joints: np.ndarray, speed: float) -> None:
        """Move to joints [7] under the envelope's limits; a fault persists."""
        inside = False

        def watch(state: RobotState, clock_age: float) -> None:
            nonlocal inside
            try:
                self._watch(state, clock_age)
                inside = True
            except OutOfWorkspace:  # the last of the envelope's checks
                if inside:
                    raise

        try:
            move_joints(self._driver, joints, speed=speed, max_force=self._max_force, watch=watch)
        except ArmFault as fault:
            self._servo.fail(fault)
            raise

    def _send_fingers(self, closedness: float) -> None:
        """Move the fingers and wait until they rest at the target, or long enough elsewhere.

        They may start late, and an object may stop them.
        """
        self._gripper.command(closedness)
        deadline, before, still = time.monotonic() + FINGER_TIME, self._gripper.closedness, 0
        while time.monotonic() < deadline and still < FINGER_READINGS:
            time.sleep(FINGER_POLL)
            now = self._gripper.closedness
            still = still + 1 if abs(now - before) <= FINGER_REST else 0
            before = now
            if still and abs(now - closedness) < FINGER_THERE:
                break
        self._gripper.check()

    def _check_arrival(self) -> None:
        try:
            self._check(self.status())
        except ArmFault as fault:
            self._servo.fail(fault)
            raise

    def _watch(self, state: RobotState, clock_age: float) -> None:
        self._check_gripper()
        self._check(self._status(state, clock_age))

    def _check_gripper(self) -> None:
        self._gripper.check()
        age = self._gripper.age
        if age > GRIPPER_SILENCE:
            raise GripperFault(f"The gripper has not answered for {age:.1f} s.", "gripper_silence", age)

    def _status(self, state: RobotState, clock_age: float) -> ArmStatus:
        turn = self._agents_turn
        return ArmStatus(
            state=self._measured(state),
            target=self._sent,
            arrived=self._arrived,
            joints=state.joints,
            joints_low=JOINTS_LOW,
            joints_high=JOINTS_HIGH,
            force=float(np.linalg.norm(state.force)),
            clock_age=clock_age,
            camera_age=self._camera.age,
            silence=0.0 if turn is None else time.monotonic() - turn,
        )


def check_period(period: float) -> None:
    """Raise :class:`.UserError` for a control period that a real arm does not support."""
    if not PERIODS[0] <= period <= PERIODS[1]:
        raise UserError(f"period={period}: a real arm takes steps of {PERIODS[0]} to {PERIODS[1]} s.")


def _matrix(state: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = pose.euler_to_matrix(state[ROTATION])
    matrix[:3, 3] = state[POSITION]
    return matrix
