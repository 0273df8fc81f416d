"""Settings of a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from vjepa_sim.envs.arms import ARMS
from vjepa_sim.envs.backends import BACKENDS, BackendSpec
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf

OVER_TABLE = (0.46, 0.0, 0.25)  # m: flange in the middle of the simulator's images, the fingers above any object


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """Settings of a calibration.

    Attributes:
        backend: backend: sim, noisy-sim, loopback (a simulated robot with the real one's network protocol) or franka.
        checkpoint: world model: a bundled name or a folder.
        azimuth: azimuth of the simulated camera in degrees, 0 in front of the arm, 90 at its left.
        sweep: calibrate simulated cameras at 35, 45, … 85 degrees, and tabulate the results.
        moves: number of motions.
        move_size: nominal length of a motion in metres; lengths vary by 20 percent.
        seed: random seed of the motions and, in the simulator, of the scene.
        start: first position of the flange x y z in metres; on a real robot, its present position if not given.
        object: object, on a simulated robot.
        size: height and width of the images in pixels, on a simulated robot.
        arm: arm; the backend's usual one if not given.
        gripper: gripper.
    """

    backend: Annotated[str, OneOf(BACKENDS)] = "sim"
    checkpoint: str = "tiny"
    azimuth: float | None = None
    sweep: bool = False
    moves: int = 30
    move_size: float = 0.05
    seed: int = 0
    start: tuple[float, float, float] | None = None
    object: Annotated[str, OneOf(OBJECTS)] = "box"
    size: int = 256
    arm: Annotated[str | None, OneOf(ARMS)] = None
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"

    def __post_init__(self) -> None:
        OBJECTS.check(self.object)
        GRIPPERS.check(self.gripper)
        ARMS.check(self.arm_name)
        self.spec.check_arm(self.arm_name)
        if not self.movable and (self.sweep or self.azimuth is not None):
            raise UserError("Only a simulated camera can be moved: leave out --azimuth and --sweep.")
        if self.sweep and self.azimuth is not None:
            raise UserError("--sweep has its own azimuths; leave out --azimuth.")

    @property
    def spec(self) -> BackendSpec:
        """The backend."""
        return BACKENDS[self.backend]

    @property
    def arm_name(self) -> str:
        """Name of the arm."""
        return self.arm or self.spec.usual_arm

    @property
    def movable(self) -> bool:
        """Whether the backend is a simulator: its camera can be moved, its scene is sampled, and nobody is asked."""
        return "viewpoint" in self.spec.takes()

    @property
    def place(self) -> tuple[float, float, float] | None:
        """First position of the flange [3], metres, base frame; None for its present position."""
        return self.start or (OVER_TABLE if self.spec.simulated else None)

    def scene_settings(self) -> dict[str, object]:
        """The settings of the simulated scene that the backend takes, see :func:`.make_robot`."""
        settings = {"object_name": self.object, "size": self.size}
        return {name: value for name, value in settings.items() if name in self.spec.takes()}
