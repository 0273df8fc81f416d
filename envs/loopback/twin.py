"""What a camera would see of the loopback robot: our scene, its arm led by the robot's joints, objects by physics."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.envs.arms.panda import PANDA
from vjepa_sim.envs.cameras import Grabber
from vjepa_sim.envs.franka import FrankaArm, open_driver
from vjepa_sim.envs.franka.arm import check_period
from vjepa_sim.envs.grippers import GRIPPERS, open_gripper
from vjepa_sim.envs.loopback.robotiq import CLOSED, LoopbackRobotiq
from vjepa_sim.envs.loopback.server import LoopbackRobot
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.robot import simulated_camera
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.envs.start import Start

if TYPE_CHECKING:
    from vjepa_sim.envs.tasks import Progress

RATE = 15.0  # Hz
LONGEST_STEP = 0.2  # s of physics between two pictures; on a slow machine the objects fall more slowly
HELD = 0.05  # closedness by which fingers that hold something stay behind
AT_START = 0.005  # rad by which joints may be off the start
RETURN_SPEED = 0.15  # share of the robot's full speed
OPENING = 60.0  # s


class TwinSource:
    """A :class:`.FrameSource` that renders.

    The joints drive our simulated arm's servos, not its positions, so that fingers push and hold as they do there.
    """

    def __init__(
        self,
        joints: Callable[[], np.ndarray],
        closedness: Callable[[], float],
        blocked: Callable[[float | None], None],
        gripper: str = "robotiq",
        object_name: str = "box",
        size: int = 256,
        period: float = 1.0,
        start: Start | None = None,
    ):
        """
        Args:
            joints: of the robot [7], radians.
            closedness: that its gripper is sent to.
            blocked: told, before each picture, at which closedness something between the fingers stops them, or None.
            gripper: ``robotiq`` or ``panda_hand``.
            object_name: ``cup`` or ``box``.
            size: of the pictures in pixels.
            period: seconds of a step, by which some tasks measure time.
            start: where the object is at first, and after each :meth:`restart`; None: in the middle of the table.
        """
        self._joints, self._closedness, self._blocked = joints, closedness, blocked
        self._settings = (gripper, object_name, size, period, start)
        self._camera: Any = None
        self._scenario: Any = None
        self._opened = threading.Event()
        self._error: Exception | None = None
        self._lock = threading.Lock()  # around the scene, which others than the thread that renders ask about

    def read(self) -> np.ndarray:
        """Advance the scene to now, and look: uint8 [size, size, 3]."""
        if self._camera is None:
            try:
                self._open()  # in the thread that renders: OpenGL is bound to it
            except Exception as error:
                self._error = error
                raise
            finally:
                self._opened.set()
        now = time.monotonic()
        time.sleep(max(0.0, self._looked + 1 / RATE - now))
        now = time.monotonic()
        with self._lock:
            wanted = self._closedness()
            self._scene.follow(self._joints(), wanted, min(now - self._looked, LONGEST_STEP))
            self._feel(wanted)
            self._looked = now
            return self._camera.render(self._scene.data)

    def wait_open(self) -> None:
        """Until the scene is there: a busy machine takes longer for that than a camera may.

        Raises:
            UserError: the scene doesn't fit the start.
        """
        if not self._opened.wait(OPENING):
            raise TimeoutError(f"The twin's scene was not there after {OPENING:g} s.")
        if self._error is not None:
            raise self._error

    def restart(self) -> None:
        """Put everything back to the start. The robot must be there already."""
        with self._lock:
            self._scenario.restart()
            self._feel(self._closedness())

    @property
    def grip(self) -> float:
        """What the gripper is told at the start."""
        return self._scenario.commanded_closedness

    def judge(self) -> Progress | None:
        """The scene's present moment by the task's own test; None without a start."""
        if self._scenario is None:
            return None
        with self._lock:
            return self._scenario.measure()

    def reopen(self) -> None:
        """The robot may answer again."""

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.close()

    def _feel(self, wanted: float) -> None:
        """Tell where something between the fingers stops them."""
        closed = self._scene.closedness()
        held = self._scene.fingers_touching() == 2 and closed < wanted - HELD
        self._blocked(closed if held else None)

    def _open(self) -> None:
        from vjepa_sim.envs.simulation.renderer import Renderer
        from vjepa_sim.envs.simulation.scenario import Scenario
        from vjepa_sim.envs.simulation.simulation import Simulation

        gripper, object_name, size, period, start = self._settings
        self._scene = Simulation(gripper, object_name, period)
        if start is None:
            self._scene.place_arm(self._joints(), self._closedness())
        else:
            self._scenario = Scenario(self._scene, start)
        self._camera = Renderer(self._scene.model, size)
        self._looked = time.monotonic()


class LoopbackArm(FrankaArm):
    """A :class:`.FrankaArm` that brings its robot along: every part is the real one but the metal.

    Attributes:
        robot: the simulated robot behind the protocol, for faults to order.
        hand: the simulated Robotiq on its serial device, None with the Franka Hand.
    """

    simulated = True

    def __init__(
        self,
        host: str = "127.0.0.1",
        gripper: str = "robotiq",
        object_name: str = "box",
        size: int = 256,
        period: float = 1.0,
        driver: str = "franky",
        start: Start | None = None,
        max_force: float = SafetyLimits.max_force,
        max_camera_age: float = SafetyLimits.max_camera_age,
    ):
        """
        Args:
            host: an address of the loopback network.
            gripper: ``robotiq`` (a serial device of its own) or ``panda_hand`` (at ``host``).
            object_name: ``cup`` or ``box``.
            size: of the camera's pictures in pixels.
            period: seconds of a step.
            driver: see :func:`.open_arm`.
            start: of every episode; None: the arm at home, the object on the table, and nobody to judge.
            max_force, max_camera_age: see :func:`.open_arm`.
        """
        spec = GRIPPERS[gripper]
        check_period(period)
        self._episodes_start = start
        self.hand: LoopbackRobotiq | None = None
        self._world = ExitStack()  # what a real arm has around it
        with ExitStack() as parts:  # closed again if the next one fails
            parts.callback(self._world.close)
            folder = self._world.enter_context(tempfile.TemporaryDirectory(prefix="vjepa-sim-"))
            address = host
            if spec.loopback is not None:
                address = str(Path(folder) / spec.name)
                self.hand = self._world.enter_context(closing(spec.loopback(Path(address))))
            joints = PANDA.home_joints(spec.mount_yaw) if start is None else np.array(start.joints)
            self.robot = self._world.enter_context(LoopbackRobot(host, joints, hand=spec.loopback is None))
            connected = parts.enter_context(closing(open_driver(driver, host)))
            fingers = parts.enter_context(closing(open_gripper(gripper, address)))
            self._source = TwinSource(
                self.robot.joints, lambda: fingers.commanded, self._meet, gripper, object_name, size, period, start
            )
            camera = parts.enter_context(Grabber(self._source, max_camera_age, name="the loopback robot's camera"))
            self._source.wait_open()
            super().__init__(connected, fingers, camera, gripper, period, max_force=max_force)
            parts.pop_all()
        self.camera_card = simulated_camera(gripper, size)
        self.description = f"{self.description}, to a simulated robot"

    def reset(self) -> Observation:
        """Bring arm, gripper and object back to the start, if there is one; take hold of the arm, and look."""
        if self._episodes_start is not None:
            self._return(self._episodes_start)
        return super().reset()

    def judge(self) -> Progress | None:
        """The present moment by the task's own test, as the camera sees it; None without a start."""
        return self._source.judge()

    def _return(self, start: Start) -> None:
        """As the person at a robot would; through the real client, but for the object."""
        self._servo.raise_fault()
        self.release()
        self._gripper.activate()
        self._send_fingers(0.0)
        if np.abs(self.robot_state().joints - start.joints).max() > AT_START:
            self._move_joints(np.array(start.joints), RETURN_SPEED)
        grip = self._source.grip
        self._gripper.command(grip)
        self._source.restart()  # at once: what is between the fingers must stop them
        self._send_fingers(grip)

    def _meet(self, closedness: float | None) -> None:
        """Let the simulated gripper feel what the twin's fingers hold."""
        if self.hand is not None:
            self.hand.object_at = None if closedness is None else round(closedness * CLOSED)

    def close(self) -> None:
        """Come to rest, and end the robot."""
        super().close()
        self._world.close()
