"""The view calibrated in the simulator: from one camera, and from many about the table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

from vjepa_sim.agents.calibration.calibration import COLUMNS, ViewCalibration, fit_view
from vjepa_sim.agents.calibration.moves import OVER_TABLE, Moves, approach, infer_moves, make_moves
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.robot import simulated_camera
from vjepa_sim.envs.scene.cameras import LEFT, Viewpoint, left_at
from vjepa_sim.envs.seeds import evaluation_seed
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.simulation import PERIOD
from vjepa_sim.world_model import WorldModel

AZIMUTHS = tuple(range(35, 86, 10))  # degrees: the V-JEPA 2 paper's
FIRST_SEED = 2_000_000  # of the scenes: not those that results are reported on


@dataclass(frozen=True)
class SimulatedView:
    """With what to calibrate in the simulator.

    Attributes:
        checkpoint: a bundled name or a folder.
        gripper, object_name, size: of the environment, see :class:`.SimEnv`.
        seed: of the scene and the moves.
        moves: how many.
        move_size: metres of one, give or take a fifth.
        start: where the flange begins [3], metres.
    """

    checkpoint: str = "tiny"
    gripper: str = "robotiq"
    object_name: str = "box"
    size: int = 256
    seed: int = 0
    moves: int = 30
    move_size: float = 0.05
    start: tuple[float, float, float] = OVER_TABLE

    def observe(
        self, model: WorldModel, viewpoint: Viewpoint, on_move: Callable[[int, int], None] = lambda done, total: None
    ) -> Moves:
        """Make the moves in front of a camera and have the model infer them.

        Args:
            model: the checkpoint's.
            viewpoint: where the camera is.
            on_move: called with the numbers of moves inferred and in all.

        Raises:
            UserError: the model doesn't fit the environment, or the moves don't.
        """
        period = PERIOD if model.card.period is None else round(model.card.period, 4)
        model.card.check_fit(period, self.size, self.gripper)
        env = SimEnv(
            "reach", self.object_name, gripper=self.gripper, size=self.size, period=period, viewpoint=viewpoint
        )
        try:
            env.reset(seed=evaluation_seed(FIRST_SEED, self.seed))
            approach(env.arm, self.start)
            observations = make_moves(env.arm, self.moves, self.move_size, self.seed)
        finally:
            env.close()
        return infer_moves(model, observations, on_move)

    def fit(self, moves: Moves, viewpoint: Viewpoint) -> ViewCalibration:
        """The calibration from moves that were made in front of a camera; see :func:`.fit_view`."""
        camera = simulated_camera(self.gripper, self.size)
        if viewpoint != LEFT.viewpoint:  # which is that of the back ends
            camera["simulated"]["azimuth"] = viewpoint.azimuth
        return fit_view(moves, self.checkpoint, fingerprint(self.checkpoint), camera)


@dataclass(frozen=True)
class SweepRow:
    """One camera of a sweep.

    Attributes:
        azimuth: degrees.
        view: what came out, or None.
        failure: why nothing did, or "".
    """

    azimuth: float
    view: ViewCalibration | None
    failure: str = ""

    @property
    def camera_turn(self) -> float:
        """Degrees from the nominal camera: the angle of a model that sees directions perfectly, but in the picture."""
        return self.azimuth - LEFT.viewpoint.azimuth


def sweep(
    settings: SimulatedView, model: WorldModel, on_move: Callable[[int, int], None] = lambda done, total: None
) -> list[SweepRow]:
    """Calibrate cameras all about the table with the same scene and moves.

    Args:
        settings: see there.
        model: the checkpoint's.
        on_move: called with the numbers of moves inferred and in all.
    """
    rows: list[SweepRow] = []
    for number, azimuth in enumerate(AZIMUTHS):

        def on_one(done: int, total: int, earlier: int = number) -> None:
            on_move(earlier * total + done, len(AZIMUTHS) * total)

        moves = settings.observe(model, left_at(azimuth), on_one)
        try:
            rows.append(SweepRow(azimuth, settings.fit(moves, left_at(azimuth))))
        except UserError as error:  # from there, nothing is seen: a finding, not the end
            rows.append(SweepRow(azimuth, None, str(error)))
    return rows


def sweep_markdown(rows: list[SweepRow]) -> str:
    """A table for people."""
    columns = ("camera at", "from the nominal", *COLUMNS)
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        found = [f"none: {row.failure}"] + [""] * (len(COLUMNS) - 1) if row.view is None else row.view.row()
        lines.append(f"| {' | '.join([f'{row.azimuth:g}°', f'{row.camera_turn:+.1f}°', *found])} |")
    return "\n".join(lines) + "\n"


def sweep_csv(rows: list[SweepRow]) -> str:
    """A table for programs: degrees and centimetres; the offset in metres."""
    names = (
        "angle",
        "condition",
        "error_before",
        "error_shifted",
        "error_rotated",
        "error_mapped",
        "held_out",
        "moves",
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["azimuth", "camera_turn", "offset_x", "offset_y", *names, "failure"])
    for row in rows:
        view = row.view
        numbers = [""] * (2 + len(names)) if view is None else [*view.offset, *(getattr(view, name) for name in names)]
        writer.writerow([row.azimuth, row.camera_turn, *numbers, row.failure])
    return text.getvalue()
