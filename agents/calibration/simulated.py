"""Calibration in the simulator: of one camera, and of a sweep of azimuths around the table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vjepa_sim.agents.calibration.calibration import COLUMNS, ViewCalibration, fit_view
from vjepa_sim.agents.calibration.config import OVER_TABLE, CalibrationConfig
from vjepa_sim.agents.calibration.moves import Moves, approach, infer_moves, make_moves
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.envs.backends import make_robot
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.scene.cameras import LEFT, Viewpoint, left_at
from vjepa_sim.envs.seeds import evaluation_seed
from vjepa_sim.envs.sim_env import SimEnv
from vjepa_sim.envs.simulation.scenario import start_of
from vjepa_sim.envs.simulation.simulation import PERIOD
from vjepa_sim.envs.start import Start
from vjepa_sim.protocols import LatentDynamics

AZIMUTHS = tuple(range(35, 86, 10))  # degrees, as in the V-JEPA 2 paper
TASK = "reach"
START_SIZE = 64  # pixels of images that are not used
FIRST_SEED = 2_000_000  # of the scenes, apart from those of evaluations


def observe_moves(
    config: CalibrationConfig,
    model: LatentDynamics,
    viewpoint: Viewpoint,
    on_move: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Moves, dict[str, Any]]:
    """Make the motions in front of a simulated camera, and let the model infer them.

    Args:
        config: settings, of a backend whose camera can be moved.
        model: model of the checkpoint.
        viewpoint: pose of the camera.
        on_move: called with the number of motions inferred so far and in all.

    Returns:
        The motions, and the description of the camera.

    Raises:
        UserError: the model does not fit the environment, or the motions don't fit into the workspace.
    """
    period = PERIOD if model.card.period is None else round(model.card.period, 4)
    model.card.check_fit(period, config.size, arm=config.arm_name, gripper=config.gripper)
    env = make_robot(
        TASK,
        config.backend,
        config.arm_name,
        gripper=config.gripper,
        period=period,
        start=_sample_start(config, period),
        viewpoint=viewpoint,
        **config.scene_settings(),
    )
    try:
        env.arm.reset()
        approach(env.arm, config.start or OVER_TABLE)
        observations = make_moves(env.arm, count=config.moves, size=config.move_size, seed=config.seed)
        camera = env.robot.camera_card
    finally:
        env.close()
    return infer_moves(model, observations, on_move), camera


def _sample_start(config: CalibrationConfig, period: float) -> Start:
    """The scene of the seed."""
    env = SimEnv(TASK, config.object, arm=config.arm_name, gripper=config.gripper, size=START_SIZE, period=period)
    try:
        seed = evaluation_seed(FIRST_SEED, config.seed)
        env.reset(seed=seed)
        return start_of(env.simulation, TASK, seed)
    finally:
        env.close()


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
    config: CalibrationConfig,
    model: LatentDynamics,
    on_move: Callable[[int, int], None] = lambda done, total: None,
) -> list[SweepRow]:
    """Calibrate cameras at all :data:`AZIMUTHS` with the same scene and motions.

    Args:
        config: settings of the calibrations.
        model: model of the checkpoint.
        on_move: called with the number of motions inferred so far and in all.

    Returns:
        A row for each azimuth.
    """
    rows: list[SweepRow] = []
    for number, azimuth in enumerate(AZIMUTHS):

        def on_one(done: int, total: int, earlier: int = number) -> None:
            on_move(earlier * total + done, len(AZIMUTHS) * total)

        moves, camera = observe_moves(config, model, left_at(azimuth), on_one)
        try:
            view = fit_view(moves, config.checkpoint, fingerprint(config.checkpoint), camera)
            rows.append(SweepRow(azimuth, view))
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
