"""The loopback robot's camera and its scene: the arm follows the robot's joints, the object follows physics."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.arms.panda import PANDA
from vjepa_sim.envs.cameras import Grabber
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.franka import FrankaArm, open_driver
from vjepa_sim.envs.franka.arm import check_period
from vjepa_sim.envs.grippers import GRIPPERS, open_gripper
from vjepa_sim.envs.grippers.gripper_spec import LoopbackGripper
from vjepa_sim.envs.loopback.server import LoopbackRobot
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.robot import simulated_camera
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.envs.start import Start

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.renderer import Renderer
    from vjepa_sim.envs.simulation.scenario import Scenario
    from vjepa_sim.envs.tasks import Progress

RATE = 15.0  # Hz
LONGEST_STEP = 0.2  # s of physics between two images; on a slow machine the scene runs slower than real time
HELD = 0.05  # closedness by which fingers that hold something stay short of their command
AT_START = 0.005  # rad, largest difference of joints at the start
RETURN_SPEED = 0.15  # share of the robot's full speed
OPENING = 60.0  # s


class TwinSource:
    """A :class:`.FrameSource` that renders the scene.

    The robot's joints are references of the simulated arm's servos, so that its fingers push and hold objects.
    """

    def __init__(
        self,
        joints: Callable[[], np.ndarray],
        closedness: Callable[[], float],
        *,
        blocked: Callable[[float | None], None],
        gripper: str = "robotiq",
        object_name: str = "box",
        size: int = 256,
        period: float = 1.0,
        start: Start | None = None,
    ):
        """
        Args:
            joints: returns the robot's joint positions [7], radians.
            closedness: returns the gripper's commanded closedness.
            blocked: called before each image with the closedness at which an object stops the fingers, or None.
            gripper: name of one of :data:`.GRIPPERS`.
            object_name: name of one of :data:`.OBJECTS`.
            size: height and width of the images in pixels.
            period: control period in seconds, by which some tasks measure time.
            start: start of every episode, see :meth:`restart`; None for the object in the middle of the table.
        """
        self._joints, self._closedness, self._blocked = joints, closedness, blocked
        self._settings = (gripper, object_name, size, period, start)
        self._camera: Renderer | None = None
        self._scenario: Scenario | None = None
        self._opened = threading.Event()
        self._error: Exception | None = None
        self._lock = threading.Lock()  # guards the scene, which other threads than the renderer's read

    def read(self) -> np.ndarray:
        """Advance the scene to the present time and render it: uint8 [size, size, 3]."""
        camera = self._camera or self._open()
        now = time.monotonic()
        time.sleep(max(0.0, self._rendered_at + 1 / RATE - now))
        now = time.monotonic()
        with self._lock:
            commanded = self._closedness()
            self._scene.follow(self._joints(), commanded, min(now - self._rendered_at, LONGEST_STEP))
            self._report_block(commanded)
            self._rendered_at = now
            return camera.render(self._scene.data)

    def wait_open(self) -> None:
        """Wait until the scene is built, which on a busy machine takes longer than a camera may.

        Raises:
            UserError: the scene does not match the start.
            TimeoutError: the scene was not built in time.
        """
        if not self._opened.wait(OPENING):
            raise TimeoutError(f"The loopback robot's scene was not built within {OPENING:g} s.")
        if self._error is not None:
            raise self._error

    def restart(self) -> None:
        """Put the scene back to the start. The robot must be there already."""
        with self._lock:
            self._started().restart()
            self._report_block(self._closedness())

    @property
    def grip(self) -> float:
        """Commanded closedness of the gripper at the start."""
        return self._started().commanded_closedness

    def judge(self) -> Progress | None:
        """Progress in the scene by the task's own test; None without a start."""
        if self._scenario is None:
            return None
        with self._lock:
            return self._scenario.measure()

    def reopen(self) -> None:
        """Nothing to open again: the next image is rendered if the robot answers."""

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.close()

    def _started(self) -> Scenario:
        if self._scenario is None:
            raise UserError("The loopback robot's scene has no start to go back to.")
        return self._scenario

    def _report_block(self, commanded: float) -> None:
        """Report the closedness at which an object stops the fingers."""
        closed = self._scene.closedness()
        held = self._scene.fingers_touching() == 2 and closed < commanded - HELD
        self._blocked(closed if held else None)

    def _open(self) -> Renderer:
        """Build the scene, in the thread that renders."""
        try:
            self._camera = self._build()
        except Exception as error:
            self._error = error
            raise
        finally:
            self._opened.set()
        return self._camera

    def _build(self) -> Renderer:
        from vjepa_sim.envs.simulation.renderer import Renderer
        from vjepa_sim.envs.simulation.scenario import Scenario
        from vjepa_sim.envs.simulation.simulation import Simulation

        gripper, object_name, size, period, start = self._settings
        self._scene = Simulation(gripper, object_name, period)
        if start is None:
            self._scene.place_arm(self._joints(), self._closedness())
        else:
            self._scenario = Scenario(self._scene, start)
        camera = Renderer(self._scene.model, size)
        camera.render(self._scene.data)  # starts OpenGL now: the first image is late otherwise, or the error is
        self._rendered_at = time.monotonic()
        return camera


class LoopbackArm(FrankaArm):
    """A :class:`.FrankaArm` that starts its own simulated robot: client, servo and gripper driver are the real ones.

    Attributes:
        robot: simulated robot, with methods that cause faults.
        serial_gripper: simulated gripper on its serial device, None with the Franka Hand.
    """

    simulated = True

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
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
            host: address of the loopback network.
            gripper: ``robotiq`` (a serial device of its own) or ``panda_hand`` (at ``host``).
            object_name: name of one of :data:`.OBJECTS`.
            size: height and width of the camera's images in pixels.
            period: control period, seconds.
            driver: see :func:`.open_arm`.
            start: start of every episode; None for the arm at home, the object in the middle of the table, and no test
                of success.
            max_force, max_camera_age: see :func:`.open_arm`.
        """
        spec = GRIPPERS[gripper]
        check_period(period)
        self._episodes_start = start
        self.serial_gripper: LoopbackGripper | None = None
        self._simulated = ExitStack()  # the simulated robot and gripper
        with ExitStack() as parts:  # parts that are open are closed again if the next one fails
            parts.callback(self._simulated.close)
            folder = self._simulated.enter_context(tempfile.TemporaryDirectory(prefix="vjepa-sim-"))
            address = host
            if spec.loopback is not None:
                address = str(Path(folder) / spec.name)
                self.serial_gripper = self._simulated.enter_context(closing(spec.loopback(Path(address))))
            joints = PANDA.home_joints(spec.mount_yaw) if start is None else np.array(start.joints)
            self.robot = self._simulated.enter_context(LoopbackRobot(host, joints, hand=spec.loopback is None))
            connected = parts.enter_context(closing(open_driver(driver, host)))
            fingers = parts.enter_context(closing(open_gripper(gripper, address)))
            self._source = TwinSource(
                self.robot.joints,
                lambda: fingers.commanded,
                blocked=self._meet,
                gripper=gripper,
                object_name=object_name,
                size=size,
                period=period,
                start=start,
            )
            camera = parts.enter_context(Grabber(self._source, max_camera_age, name="the loopback robot's camera"))
            self._source.wait_open()
            super().__init__(connected, fingers, camera, gripper_kind=gripper, period=period, max_force=max_force)
            parts.pop_all()
        self.camera_card = simulated_camera(gripper, size)
        self.description = f"{self.description}, to a simulated robot"

    def reset(self) -> Observation:
        """Bring arm, gripper and object back to the start, if there is one, and take control of the arm."""
        if self._episodes_start is not None:
            self._return(self._episodes_start)
        return super().reset()

    def judge(self) -> Progress | None:
        """Progress in the camera's scene by the task's own test; None without a start."""
        return self._source.judge()

    def _return(self, start: Start) -> None:
        """Bring everything back to the start: the object at once, arm and gripper through the real client."""
        self._servo.raise_fault()
        self.release()
        self._gripper.activate()
        self._send_fingers(0.0)
        if np.abs(self.robot_state().joints - start.joints).max() > AT_START:
            self._move_joints(np.array(start.joints), RETURN_SPEED)
        grip = self._source.grip
        self._gripper.command(grip)
        self._source.restart()  # before the fingers close, so that the object stops them
        self._send_fingers(grip)

    def _meet(self, closedness: float | None) -> None:
        """Stop the simulated gripper at the object that is held in the camera's scene."""
        if self.serial_gripper is not None:
            self.serial_gripper.block(closedness)

    def close(self) -> None:
        """Bring the arm to rest, and end the simulated robot."""
        super().close()
        self._simulated.close()
