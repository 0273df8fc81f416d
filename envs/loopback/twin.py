"""What a camera would see of the loopback robot: our scene, its arm led by the robot's joints, its objects by physics."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from envs.cameras import Grabber
from envs.errors import unknown_name
from envs.franka import FrankaArm, open_driver
from envs.grippers import DRIVERS, open_gripper
from envs.loopback.robotiq import CLOSED, LoopbackRobotiq
from envs.loopback.server import LoopbackRobot
from envs.panda import home_joints

RATE = 15.0  # Hz
LONGEST_STEP = 0.2  # s of physics between two pictures; on a slow machine the objects fall more slowly
HELD = 0.05  # closedness by which fingers that hold something stay behind


class TwinSource:
    """A :class:`envs.cameras.FrameSource` that renders.

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
        object_place: tuple[float, float] = (0.5, 0.0),
    ):
        """
        Args:
            joints: of the robot [7], radians.
            closedness: that its gripper is sent to.
            blocked: told, before each picture, at which closedness something between the fingers stops them, or None.
            gripper: ``robotiq`` or ``panda_hand``.
            object_name: ``cup`` or ``box``.
            size: of the pictures in pixels.
            object_place: where the object stands at first, metres, base frame.
        """
        self._joints, self._closedness, self._blocked = joints, closedness, blocked
        self._settings = (gripper, object_name, size, object_place)
        self._camera: Any = None

    def read(self) -> np.ndarray:
        """Advance the scene to now, and look: uint8 [size, size, 3]."""
        if self._camera is None:
            self._open()  # in the thread that renders: OpenGL is bound to it
        now = time.monotonic()
        time.sleep(max(0.0, self._looked + 1 / RATE - now))
        now = time.monotonic()
        wanted = self._closedness()
        self._scene.follow(self._joints(), wanted, min(now - self._looked, LONGEST_STEP))
        closed = self._scene.closedness()
        held = self._scene.fingers_touching() == 2 and closed < wanted - HELD
        self._blocked(closed if held else None)
        self._looked = now
        return self._camera.render(self._scene.data)

    def reopen(self) -> None:
        """The robot may answer again."""

    def close(self) -> None:
        """Free the renderer."""
        if self._camera is not None:
            self._camera.close()

    def _open(self) -> None:
        from envs.camera import Camera
        from envs.simulation import Simulation

        gripper, object_name, size, (x, y) = self._settings
        self._scene = Simulation(gripper, object_name)
        self._scene.place_object(np.array([x, y, self._scene.object_half_height()]), yaw=0.0)
        self._scene.place_arm(self._joints(), self._closedness())
        self._camera = Camera(self._scene.model, size)
        self._looked = time.monotonic()


class LoopbackArm(FrankaArm):
    """A :class:`envs.franka.FrankaArm` that brings its robot along: every part is the real one but the metal.

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
        max_force: float = 25.0,
        driver: str = "franky",
    ):
        """
        Args:
            host: an address of the loopback network.
            gripper: ``robotiq`` (a serial device of its own) or ``panda_hand`` (at ``host``).
            object_name: ``cup`` or ``box``.
            size: of the camera's pictures in pixels.
            period: seconds of a step.
            max_force: newtons at which the robot stops itself.
            driver: see :func:`envs.franka.open_arm`.
        """
        if gripper not in DRIVERS:
            raise unknown_name("gripper", gripper, DRIVERS)
        self.hand: LoopbackRobotiq | None = None
        self._world = ExitStack()  # what a real arm has around it
        with ExitStack() as parts:  # closed again if the next one fails
            parts.callback(self._world.close)
            folder = self._world.enter_context(tempfile.TemporaryDirectory(prefix="vjepa-sim-"))
            address = host
            if gripper == "robotiq":
                address = str(Path(folder) / "robotiq")
                self.hand = self._world.enter_context(closing(LoopbackRobotiq(Path(address))))
            self.robot = self._world.enter_context(
                LoopbackRobot(host, home_joints(gripper), hand=gripper == "panda_hand")
            )
            connected = parts.enter_context(closing(open_driver(driver, host)))
            fingers = parts.enter_context(closing(open_gripper(gripper, address)))
            source = TwinSource(self.robot.joints, lambda: fingers.commanded, self._meet, gripper, object_name, size)
            camera = parts.enter_context(Grabber(source, max_age=3.0, name="the loopback robot's camera"))
            super().__init__(connected, fingers, camera, gripper, period, max_force=max_force)
            parts.pop_all()

    def _meet(self, closedness: float | None) -> None:
        """Let the simulated gripper feel what the twin's fingers hold."""
        if self.hand is not None:
            self.hand.object_at = None if closedness is None else round(closedness * CLOSED)

    def close(self) -> None:
        """Come to rest, and end the robot."""
        super().close()
        self._world.close()
