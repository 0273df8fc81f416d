"""Calibration in the simulator: of one camera, and of a sweep of azimuths around the table."""

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

AZIMUTHS = tuple(range(35, 86, 10))  # degrees, as in the V-JEPA 2 paper
FIRST_SEED = 2_000_000  # of the scenes, apart from those of evaluations


@dataclass(frozen=True, kw_only=True)
class SimulatedView:
    """Settings of a calibration in the simulator.

    Attributes:
        checkpoint: bundled name or folder of the world model.
        gripper, object_name, size: settings of the environment, see :class:`.SimEnv`.
        seed: random seed of the scene and the motions.
        moves: number of motions.
        move_size: nominal length of a motion in metres; lengths vary by ± 20 %.
        start: first position of the flange [3], metres, base frame.
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
        """Make the motions in front of a camera, and let the model infer them.

        Args:
            model: model of the checkpoint.
            viewpoint: pose of the camera.
            on_move: called with the number of motions inferred so far and in all.

        Raises:
            UserError: the model does not fit the environment, or the motions don't fit into the workspace.
        """
        period = PERIOD if model.card.period is None else round(model.card.period, 4)
        model.card.check_fit(period, self.size, self.gripper)
        env = SimEnv(
            "reach", self.object_name, gripper=self.gripper, size=self.size, period=period, viewpoint=viewpoint
        )
        try:
            env.reset(seed=evaluation_seed(FIRST_SEED, self.seed))
            approach(env.arm, self.start)
            observations = make_moves(env.arm, count=self.moves, size=self.move_size, seed=self.seed)
        finally:
            env.close()
        return infer_moves(model, observations, on_move)

    def fit(self, moves: Moves, viewpoint: Viewpoint) -> ViewCalibration:
        """Fit the calibration to motions in front of a camera; see :func:`.fit_view`."""
        camera = simulated_camera(self.gripper, self.size)
        if viewpoint != LEFT.viewpoint:  # the viewpoint of all backends
            camera["simulated"]["azimuth"] = viewpoint.azimuth
        return fit_view(moves, self.checkpoint, fingerprint(self.checkpoint), camera)


@dataclass(frozen=True)
class SweepRow:
    """Result of one azimuth of a sweep.

    Attributes:
        azimuth: azimuth of the camera in degrees.
        view: calibration; None if it failed.
        failure: reason of the failure, or "".
    """

    azimuth: float
    view: ViewCalibration | None
    failure: str = ""

    @property
    def camera_turn(self) -> float:
        """Degrees from the nominal azimuth: the rotation for a model whose directions are fixed in the image."""
        return self.azimuth - LEFT.viewpoint.azimuth


def sweep(
    settings: SimulatedView, model: WorldModel, on_move: Callable[[int, int], None] = lambda done, total: None
) -> list[SweepRow]:
    """Calibrate cameras at all :data:`AZIMUTHS` with the same scene and motions.

    Args:
        settings: settings of the calibrations.
        model: model of the checkpoint.
        on_move: called with the number of motions inferred so far and in all.

    Returns:
        A row for each azimuth.
    """
    rows: list[SweepRow] = []
    for number, azimuth in enumerate(AZIMUTHS):

        def on_one(done: int, total: int, earlier: int = number) -> None:
            on_move(earlier * total + done, len(AZIMUTHS) * total)

        moves = settings.observe(model, left_at(azimuth), on_one)
        try:
            rows.append(SweepRow(azimuth, settings.fit(moves, left_at(azimuth))))
        except UserError as error:  # a result of the sweep, not its end
            rows.append(SweepRow(azimuth, None, str(error)))
    return rows


def sweep_markdown(rows: list[SweepRow]) -> str:
    """The sweep as a table in Markdown."""
    columns = ("azimuth", "from the nominal", *COLUMNS)
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        found = [f"none: {row.failure}"] + [""] * (len(COLUMNS) - 1) if row.view is None else row.view.row()
        lines.append(f"| {' | '.join([f'{row.azimuth:g}°', f'{row.camera_turn:+.1f}°', *found])} |")
    return "\n".join(lines) + "\n"


def sweep_csv(rows: list[SweepRow]) -> str:
    """The sweep as CSV: degrees and centimetres, the offset in metres."""
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
