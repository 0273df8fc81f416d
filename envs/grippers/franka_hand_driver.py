"""The Franka Hand, through the robot's control box."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.faults import GripperFault
from vjepa_sim.envs.timeout import bounded

if TYPE_CHECKING:
    import franky

CONNECTING = 5.0  # s; without a limit, an unknown host takes a minute, and one in use blocks for ever
ANSWERING = 5.0  # s; the longest move takes 0.8 s at full speed
SHORT = 0.002  # m: fingers that end further out than this were stopped by an object


class FrankaHand:
    """Blocking calls to the Franka Hand, a :class:`.GripperDriver`.

    Closing holds an object between the fingers. Only franky's grasp applies a force, but it closes until something
    stops it; so it is used for closing fully, and after a move that ended short.

    Attributes:
        max_width: width between the open fingers, metres; closedness is 1 - width / max_width.
        speed: rate of change of the width, metres per second; at most 0.1.
        force: grasping force, newtons.
    """

    def __init__(self, host: str, max_width: float = 0.08, speed: float = 0.1, force: float = 20.0):
        """Connect, within 5 s.

        Args:
            host: name or address of the robot's control box.
            max_width: see the class.
            speed: see the class.
            force: see the class.

        Raises:
            UserError: franky is not installed.
            GripperFault: no Franka Hand answers at that address, or another program uses it.
        """
        try:
            import franky
        except ImportError as error:
            raise UserError('The Franka Hand needs franky: pip install "vjepa-sim[franka]"') from error
        self.max_width, self.speed, self.force = max_width, speed, force
        self._refused = franky.CommandException
        try:
            self._connection: franky.Gripper | None = bounded(lambda: franky.Gripper(host), CONNECTING)
        except Exception as error:
            raise GripperFault(f"No Franka Hand answers at {host}: {error}.") from error

    @property
    def _hand(self) -> franky.Gripper:
        """franky's gripper. Raises :class:`.GripperFault` after :meth:`close`."""
        if self._connection is None:
            raise GripperFault("The connection to the Franka Hand was closed.")
        return self._connection

    @property
    def needs(self) -> str:
        """Homing, which a person must start, once after power-up."""
        return "" if self._hand.state.max_width >= SHORT else "its stroke is unknown: home it in Desk"

    def activate(self) -> None:
        """Raise :class:`.GripperFault`: a person must home the Franka Hand."""
        raise GripperFault(f"The Franka Hand can't be used, {self.needs}.")

    def read(self) -> float:
        """Measured closedness, 0 open to 1 closed.

        Raises:
            Exception: franky's exception, after 1 s without a state from the gripper.
        """
        return min(max(1.0 - self._hand.state.width / self.max_width, 0.0), 1.0)

    def move(self, closedness: float) -> None:
        """Move the fingers to a closedness in [0, 1]; returns when they are there or hold something.

        Raises:
            GripperFault: the gripper refuses, for example because it was never homed, or does not answer within 5 s.
        """
        if self.needs:
            self.activate()
        state = self._hand.state
        # The stroke measured by homing may be a little less than the nominal one, and the gripper refuses to exceed it.
        width = min((1.0 - closedness) * self.max_width, state.max_width)
        if width >= state.width:
            self._finish(self._hand.move_async(width, self.speed), ANSWERING, f"opening to {width:.3f} m")
        elif not state.is_grasped:  # a move would release an object that is held
            self._close_to(width)

    def close(self) -> None:
        """Disconnect without moving the fingers."""
        self._connection = None  # the last reference: franky has no call for it

    def _close_to(self, width: float) -> None:
        if width > 0:
            # Refused when an object is in the way; fingers that did not close, for any reason, then grasp.
            with contextlib.suppress(self._refused):
                self._await(self._hand.move_async(width, self.speed), ANSWERING, f"closing to {width:.3f} m")
            if self._hand.state.width <= width + SHORT:
                return
        # An object of any width is held: the tolerances span the whole stroke.
        grasp = self._hand.grasp_async(
            width, self.speed, self.force, epsilon_inner=self.max_width, epsilon_outer=self.max_width
        )
        self._finish(grasp, ANSWERING, f"grasping with {self.force:g} N")

    def _finish(self, future: franky.BoolFuture, seconds: float, doing: str) -> None:
        try:
            succeeded = self._await(future, seconds, doing)
        except self._refused as error:
            raise GripperFault(f"The Franka Hand refused {doing} (is it homed?): {error}") from error
        if not succeeded:
            raise GripperFault(f"The Franka Hand failed at {doing}.")

    def _await(self, future: franky.BoolFuture, seconds: float, doing: str) -> bool:
        # A command that was pre-empted by another is never answered, so get() needs a wait() before.
        if not future.wait(seconds):
            raise GripperFault(f"The Franka Hand did not finish {doing} within {seconds:g} s.")
        return future.get()
