"""The least-squares map from motions that a model infers to true ones, and its errors on held-out motions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.agents.calibration.moves import MIN_MOVES, Moves
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.data.files import read_json_object, write_json
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError

VIEW_FILE = "view.json"
HELD_OUT = 3  # every third motion is held out of the fit, to measure errors on
MIN_SPREAD = 0.1  # minimum ratio of the motions' singular values, across and along their main direction
MAX_CONDITION = 20.0

COLUMNS = ("rotation", "cond(W)", "offset", "error before", "less the offset", "rotated", "by W", "held-out motions")


@dataclass(frozen=True, kw_only=True)
class ViewCalibration:
    """The least-squares map from motions that a model infers to true ones.

    Errors are mean distances from the true motions in centimetres, over held-out motions.

    Attributes:
        matrix: W [2, 2]: true = W (inferred - offset).
        offset: motion that the model infers where there is none [2], metres.
        moves: number of motions.
        held_out: number of motions that the errors are measured on.
        error_before: error of the inferred motions.
        error_shifted: error of the inferred motions less the offset.
        error_rotated: error after the offset and :attr:`rotation`.
        error_mapped: error after the offset and :attr:`matrix`.
        checkpoint: name or path of the model.
        checkpoint_crc32: fingerprint of the model.
        camera: description of the camera, JSON-compatible.
    """

    matrix: tuple[tuple[float, float], tuple[float, float]]
    offset: tuple[float, float]
    moves: int
    held_out: int
    error_before: float
    error_shifted: float
    error_rotated: float
    error_mapped: float
    checkpoint: str
    checkpoint_crc32: int
    camera: dict[str, Any]

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        if matrix.shape != (2, 2) or not np.all(np.isfinite(matrix)):
            raise UserError(f"Expected a map of 2 × 2 finite numbers; given {self.matrix}.")
        if np.shape(self.offset) != (2,) or not np.all(np.isfinite(self.offset)):
            raise UserError(f"Expected an offset of 2 finite numbers; given {self.offset}.")
        if np.linalg.det(matrix) <= 0:
            raise UserError(
                f"The map {np.round(matrix, 3).tolist()} is a reflection, which no rotation can correct: the model "
                "does not infer directions from here. Move the camera toward a place as in its training."
            )
        if np.linalg.cond(matrix) > MAX_CONDITION:
            raise UserError(
                f"The map {np.round(matrix, 3).tolist()} has condition {np.linalg.cond(matrix):.0f}, more than "
                f"{MAX_CONDITION:.0f}: the model does not distinguish directions from here. Move the camera."
            )

    @property
    def rotation(self) -> np.ndarray:
        """Rotation [2, 2] nearest to the map."""
        return polar_rotation(np.array(self.matrix))

    @property
    def angle(self) -> float:
        """Angle of the rotation in degrees, -180 to 180, counterclockwise seen from above."""
        return float(np.degrees(np.arctan2(self.rotation[1, 0], self.rotation[0, 0])))

    @property
    def condition(self) -> float:
        """Condition number of the map; 1 for a rotation."""
        return float(np.linalg.cond(np.array(self.matrix)))

    def to_markdown(self) -> str:
        """A table in Markdown."""
        return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n| {' | '.join(self.row())} |\n"

    def row(self) -> list[str]:
        """Formatted values of :data:`COLUMNS`."""
        return [
            f"{self.angle:+.1f}°",
            f"{self.condition:.2f}",
            f"{100 * np.hypot(*self.offset):.2f} cm",
            f"{self.error_before:.2f} cm",
            f"{self.error_shifted:.2f} cm",
            f"{self.error_rotated:.2f} cm",
            f"{self.error_mapped:.2f} cm",
            f"{self.held_out} of {self.moves}",
        ]

    def save(self, folder: Path) -> None:
        """Write ``view.json`` into a folder, atomically."""
        derived = {"angle_degrees": self.angle, "condition": self.condition, "provenance": provenance()}
        write_json(Path(folder) / VIEW_FILE, {"view": asdict(self), **derived})

    @classmethod
    def load(cls, source: str | Path) -> ViewCalibration:
        """Read a calibration.

        Args:
            source: ``view.json``, or a folder with one.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = Path(source)
        path = path / VIEW_FILE if path.is_dir() else path
        if not path.exists():
            raise UserError(f"There is no {path}. `vjepa-sim calibrate-view --out FOLDER` makes one.")
        try:
            view = read_json_object(path)["view"]
            matrix = tuple(tuple(float(number) for number in row) for row in view["matrix"])
            numbers = [view[each.name] for each in fields(cls) if each.type in ("int", "float")]
            if not all(isinstance(number, int | float) and np.isfinite(number) for number in numbers):
                raise ValueError(f"not finite numbers: {numbers}")
            offset = tuple(float(number) for number in view["offset"])
            return cls(**{**view, "matrix": matrix, "offset": offset})
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error!r}). Calibrate anew: vjepa-sim calibrate-view.") from error


def load_view(source: str | Path, checkpoint: str | Path) -> ViewCalibration:
    """Read the calibration of a checkpoint.

    Args:
        source: ``view.json``, or a folder with one.
        checkpoint: checkpoint that it must have been made with.

    Raises:
        UserError: the file is missing or damaged, or was made with another model.
    """
    view = ViewCalibration.load(source)
    if view.checkpoint_crc32 != fingerprint(checkpoint):
        raise UserError(
            f"{source} was calibrated with checkpoint {view.checkpoint!r} (CRC-32 {view.checkpoint_crc32}); "
            f"{str(checkpoint)!r} is another model and needs a calibration of its own: vjepa-sim calibrate-view "
            f"--checkpoint {checkpoint}."
        )
    return view


def polar_rotation(matrix: np.ndarray) -> np.ndarray:
    """Orthogonal matrix nearest to a matrix [2, 2]: U Vᵀ; a rotation if the determinant is positive."""
    u, _, v = np.linalg.svd(matrix)
    return u @ v


def fit_view(moves: Moves, checkpoint: str, crc32: int, camera: dict[str, Any]) -> ViewCalibration:
    """Fit the map on two thirds of the motions and measure its errors on the others.

    Args:
        moves: inferred and true motions.
        checkpoint, crc32: name and fingerprint of the model that inferred them.
        camera: description of the camera, JSON-compatible.

    Raises:
        UserError: there are too few motions, they lie along one line, or the map is far from a rotation.
    """
    count = len(moves.true)
    if count < MIN_MOVES:
        raise UserError(f"{count} motions are too few for a calibration; make at least {MIN_MOVES}, better 30.")
    for name, each in (("true", moves.true), ("inferred", moves.inferred)):
        largest, smallest = np.linalg.svd(each - each.mean(0), compute_uv=False)
        if not smallest > MIN_SPREAD * largest:
            raise UserError(
                f"The {name} motions lie along one line or are all zero: standard deviations of "
                f"{100 * largest / count**0.5:.2f} cm along it and {100 * smallest / count**0.5:.2f} cm across. "
                + ("Was the arm blocked?" if name == "true" else "Does the camera see the gripper?")
            )
    held_out = np.arange(count) % HELD_OUT == HELD_OUT - 1
    inferred, true = moves.inferred[~held_out], moves.true[~held_out]
    solution, *_ = np.linalg.lstsq(inferred - inferred.mean(0), true - true.mean(0), rcond=None)
    matrix, rotation = solution.T, polar_rotation(solution.T)
    offset = inferred.mean(0) - rotation.T @ true.mean(0)
    inferred, true = moves.inferred[held_out], moves.true[held_out]
    (a, b), (c, d) = matrix.tolist()
    x, y = offset.tolist()
    return ViewCalibration(
        matrix=((a, b), (c, d)),
        offset=(x, y),
        moves=count,
        held_out=int(held_out.sum()),
        error_before=_error(inferred, true),
        error_shifted=_error(inferred - offset, true),
        error_rotated=_error((inferred - offset) @ rotation.T, true),
        error_mapped=_error((inferred - offset) @ matrix.T, true),
        checkpoint=checkpoint,
        checkpoint_crc32=crc32,
        camera=camera,
    )


def _error(moves: np.ndarray, true: np.ndarray) -> float:
    """Mean distance in centimetres."""
    return float(100 * np.linalg.norm(moves - true, axis=1).mean())
