"""The map between moves as a model sees them and as they are, and what it is worth."""

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
HELD_OUT = 3  # one move in so many is kept for measuring
MIN_SPREAD = 0.1  # of the moves across their main direction, as a share of that along it
MAX_CONDITION = 20.0

COLUMNS = ("rotation", "cond(W)", "offset", "error before", "less the offset", "rotated", "by W", "held-out moves")


@dataclass(frozen=True)
class ViewCalibration:
    """The least-squares map between moves as a model sees them and as they are, and what it is worth.

    Errors are mean distances, in centimetres, between the true moves and others, over moves that took no part in the
    fit.

    Attributes:
        matrix: W [2, 2]: true = W (inferred - offset).
        offset: [2], metres: the move that the model sees where there is none.
        moves: in all.
        held_out: of them, to measure on.
        error_before: of the inferred moves.
        error_shifted: of the inferred moves less the offset.
        error_rotated: likewise, after :attr:`rotation`.
        error_mapped: likewise, after :attr:`matrix`.
        checkpoint: name or path of the model.
        checkpoint_crc32: its fingerprint.
        camera: what took the pictures, JSON-compatible.
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
            raise UserError(f"The map must be 2 × 2 finite numbers; given {self.matrix}.")
        if np.shape(self.offset) != (2,) or not np.all(np.isfinite(self.offset)):
            raise UserError(f"The offset must be 2 finite numbers; given {self.offset}.")
        if np.linalg.det(matrix) <= 0:
            raise UserError(
                f"The map {np.round(matrix, 3).tolist()} mirrors the moves: no turn can make up for it. The model "
                "doesn't see the hand's directions from here; move the camera toward a place it was trained for."
            )
        if np.linalg.cond(matrix) > MAX_CONDITION:
            raise UserError(
                f"The map {np.round(matrix, 3).tolist()} has condition {np.linalg.cond(matrix):.0f}, more than "
                f"{MAX_CONDITION:.0f}: the model can't tell one direction from another from here. Move the camera."
            )

    @property
    def rotation(self) -> np.ndarray:
        """The rotation [2, 2] nearest to the map."""
        return polar_rotation(np.array(self.matrix))

    @property
    def angle(self) -> float:
        """Degrees, -180 to 180, by which it turns the model's moves, counterclockwise seen from above."""
        return float(np.degrees(np.arctan2(self.rotation[1, 0], self.rotation[0, 0])))

    @property
    def condition(self) -> float:
        """Of the map: 1 for a rotation."""
        return float(np.linalg.cond(np.array(self.matrix)))

    def to_markdown(self) -> str:
        """A table for people."""
        return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n| {' | '.join(self.row())} |\n"

    def row(self) -> list[str]:
        """What :data:`COLUMNS` name, for people."""
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
        """Write ``view.json`` into a folder, whole or not at all."""
        told = {"angle_degrees": self.angle, "condition": self.condition, "provenance": provenance()}
        write_json(Path(folder) / VIEW_FILE, {"view": asdict(self), **told})

    @classmethod
    def load(cls, source: str | Path) -> ViewCalibration:
        """Read a ``view.json``, or that of a folder.

        Raises:
            UserError: it is missing or damaged.
        """
        path = Path(source)
        path = path / VIEW_FILE if path.is_dir() else path
        if not path.exists():
            raise UserError(f"There is no {path}. `vjepa-sim calibrate-view --out FOLDER` makes one.")
        try:
            told = read_json_object(path)["view"]
            matrix = tuple(tuple(float(number) for number in row) for row in told["matrix"])
            numbers = [told[each.name] for each in fields(cls) if each.type in ("int", "float")]
            if not all(isinstance(number, int | float) and np.isfinite(number) for number in numbers):
                raise ValueError(f"not finite numbers: {numbers}")
            offset = tuple(float(number) for number in told["offset"])
            return cls(**{**told, "matrix": matrix, "offset": offset})
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error!r}). Calibrate anew: vjepa-sim calibrate-view.") from error


def load_view(source: str | Path, checkpoint: str | Path) -> ViewCalibration:
    """Read a view that was calibrated with a checkpoint.

    Raises:
        UserError: it is missing or damaged, or was made with another model.
    """
    view = ViewCalibration.load(source)
    if view.checkpoint_crc32 != fingerprint(checkpoint):
        raise UserError(
            f"{source} was calibrated with checkpoint {view.checkpoint!r} (CRC-32 {view.checkpoint_crc32}); "
            f"{str(checkpoint)!r} is another model, and sees directions in its own way. Calibrate with it: vjepa-sim "
            f"calibrate-view --checkpoint {checkpoint}."
        )
    return view


def polar_rotation(matrix: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to one [2, 2]: U Vᵀ; a rotation if the determinant is positive."""
    u, _, v = np.linalg.svd(matrix)
    return u @ v


def fit_view(moves: Moves, checkpoint: str, crc32: int, camera: dict[str, Any]) -> ViewCalibration:
    """Fit the map on two thirds of the moves and measure it on the others.

    Args:
        moves: see :func:`make_moves`.
        checkpoint, crc32: of the model that inferred them.
        camera: what took the pictures, JSON-compatible.

    Raises:
        UserError: there are too few moves, all lie along one line, or the map is no likeness of a rotation.
    """
    count = len(moves.true)
    if count < MIN_MOVES:
        raise UserError(f"{count} moves are too few for a calibration; make at least {MIN_MOVES}, better 30.")
    for name, each in (("true", moves.true), ("inferred", moves.inferred)):
        largest, smallest = np.linalg.svd(each - each.mean(0), compute_uv=False)
        if not smallest > MIN_SPREAD * largest:
            raise UserError(
                f"The {name} moves lie along one line, or nowhere: they spread over {100 * largest / count**0.5:.2f} "
                f"cm and across it {100 * smallest / count**0.5:.2f} cm. "
                + ("Was the arm blocked?" if name == "true" else "Does the camera see the hand?")
            )
    held_out = np.arange(count) % HELD_OUT == HELD_OUT - 1
    inferred, true = moves.inferred[~held_out], moves.true[~held_out]
    solution, *_ = np.linalg.lstsq(inferred - inferred.mean(0), true - true.mean(0), rcond=None)
    matrix, rotation = solution.T, polar_rotation(solution.T)
    offset = inferred.mean(0) - rotation.T @ true.mean(0)
    inferred, true = moves.inferred[held_out], moves.true[held_out]
    return ViewCalibration(
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        offset=tuple(offset.tolist()),
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
