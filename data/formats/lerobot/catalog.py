"""The table of episodes in meta/episodes: lengths and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.data.formats.format import Entry
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.data.formats.lerobot.layout import EPISODES, INFO, Info, fields_of, fill
from vjepa_sim.data.formats.lerobot.tables import open_table, reading, to_numpy
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = ("episode_index", "length", "dataset_from_index", "dataset_to_index")
LABELS = (layout.DURATION, layout.PERIOD, layout.SEED, layout.ARM_NAME, layout.GRIPPER_NAME)
SUCCESS_COLUMNS = (layout.OWN_SUCCESS, f"stats/{layout.NEXT_SUCCESS}/max", f"stats/{layout.SUCCESS}/max")


@dataclass(frozen=True)
class Catalog:
    """The columns of meta/episodes that are needed to list and open episodes, in the order of their numbers.

    Attributes:
        numbers: int64 [N] by column; with file columns only if the path templates have them.
        starts, ends: float64 [N] by camera feature, seconds from the start of its file; ends are NaN where missing.
        labels: Lists [N] by name: ``task``, ``success``, and :data:`.OWN_COLUMNS` of our sets; None where missing.
    """

    numbers: dict[str, np.ndarray]
    starts: dict[str, np.ndarray]
    ends: dict[str, np.ndarray]
    labels: dict[str, list]

    def entries(self, info: Info, roles: dict[str, str]) -> list[Entry]:
        """Index entries of the episodes, given camera features by role."""
        height, width = info.features[next(iter(roles.values()))].shape[:2]
        columns = zip(
            self.numbers["episode_index"].tolist(),
            self.numbers["length"].tolist(),
            self._problems(info),
            self.labels["task"],
            self.labels["success"],
            *(self.labels[name] for name in LABELS),
            strict=True,
        )
        return [
            Entry(
                name=f"episode {index}",
                rows=rows,
                duration=max(0, rows - 1) / info.fps if duration is None else duration,
                period=1 / info.fps if period is None else period,
                cameras=tuple(roles),
                height=height,
                width=width,
                success=success,
                task=task or "",
                seed=seed,
                arm=arm or "",
                gripper=gripper or "",
                error=problem,
            )
            for index, rows, problem, task, success, duration, period, seed, arm, gripper in columns
        ]

    def rows(self, number: int) -> tuple[int, int, int]:
        """An episode's index, the index of its first row in the data set, and one past that of its last row."""
        index, start, stop = (int(self.numbers[name][number]) for name in ("episode_index", *ROWS[2:]))
        return index, start, stop

    def data_file(self, info: Info, number: int) -> str:
        """Path of the file with an episode's rows."""
        return fill(info.data_path, self._values(info, number, "data"))

    def video_file(self, info: Info, number: int, camera: str) -> str:
        """Path of the file with an episode's frames of a camera feature."""
        values = self._values(info, number, f"videos/{camera}")
        return fill(info.video_path, {"video_key": camera, **values})

    def _values(self, info: Info, number: int, prefix: str) -> dict[str, int]:
        episode = int(self.numbers["episode_index"][number])
        values = {"episode_index": episode, "episode_chunk": episode // info.chunks_size}
        for name in ("chunk_index", "file_index"):
            if f"{prefix}/{name}" in self.numbers:
                values[name] = int(self.numbers[f"{prefix}/{name}"][number])
        return values

    def _problems(self, info: Info) -> list[str]:
        """Faults of episodes found in this table, or ""."""
        _, length, start, stop = (self.numbers[name] for name in ROWS)
        problems = np.full(len(length), "", object)
        for camera, starts in self.starts.items():
            frames = starts * info.fps
            problems[~((frames >= 0) & (frames < 1e9))] = f"{EPISODES}: its video of {camera} has no valid start"
            # With a wrong rate, frames of other episodes would be found.
            wrong = np.abs((self.ends[camera] - starts) * info.fps - length) > np.maximum(1, 0.02 * length)
            problems[wrong] = f"{EPISODES}: its video of {camera} isn't as long as its rows are with {INFO}'s fps"
        problems[length < 2] = f"{EPISODES}: it has less than 2 rows"
        problems[(stop - start != length) | (start < 0)] = f"{EPISODES}: its length isn't its number of rows"
        return problems.tolist()


def read_catalog(root: Path, info: Info, cameras: list[str]) -> Catalog:
    """Read the needed columns of all files in meta/episodes.

    Args:
        root: Root of the data set.
        info: Content of meta/info.json.
        cameras: Video features whose files are needed.

    Raises:
        UserError: There are no files, one is damaged, or columns are missing.
    """
    paths = sorted((root / EPISODES).rglob("*.parquet"))
    if not paths:
        raise UserError(f"{root / EPISODES}: no Parquet files; the data set's episodes aren't described.")
    if cameras and not info.video_path:
        raise UserError(f"{root / INFO}: video_path is missing.")
    integers = [*ROWS, *_file_columns(info.data_path, "data")]
    for camera in cameras:
        integers += _file_columns(info.video_path, f"videos/{camera}")
    ends = {camera: f"videos/{camera}/to_timestamp" for camera in cameras}
    shared = "episode_index" not in fields_of(info.video_path)  # otherwise each video is one episode's
    starts = {camera: f"videos/{camera}/from_timestamp" for camera in cameras}
    times = {name: 0.0 for name in starts.values()} | {name: np.nan for name in ends.values()}
    required = {*integers, *(starts.values() if shared else ())}
    parts = [_read_part(path, integers, times, required) for path in paths]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["episode_index"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    if len(np.unique(columns["episode_index"])) < len(order):
        raise UserError(f"{root / EPISODES}: episodes are described more than once.")
    return Catalog(
        {name: columns[name] for name in integers},
        {camera: columns[name] for camera, name in starts.items()},
        {camera: columns[name] for camera, name in ends.items()},
        {name: columns[name].tolist() for name in ("task", "success", *layout.OWN_COLUMNS)},
    )


def _file_columns(template: str, prefix: str) -> list[str]:
    return [f"{prefix}/{name}" for name in ("chunk_index", "file_index") if name in fields_of(template)]


def _read_part(path: Path, integers: list[str], times: dict[str, float], required: set[str]) -> dict[str, np.ndarray]:
    """One file's columns; missing times have the default in ``times``."""
    with reading(path), open_table(path) as file:
        present = set(file.schema_arrow.names)
        missing = sorted(required - present)
        if missing:
            raise UserError(f"{path}: columns are missing: {', '.join(missing)}.")
        wanted = [*integers, *times, "tasks", *SUCCESS_COLUMNS, *layout.OWN_COLUMNS]
        table = file.read([name for name in dict.fromkeys(wanted) if name in present])
        if not table.num_rows:
            raise UserError(f"{path}: it describes no episodes.")
        rows: dict[str, np.ndarray] = {}
        for name in integers:
            rows[name] = to_numpy(table.column(name))
            if rows[name].dtype.kind not in "iu" or rows[name].ndim != 1:
                raise UserError(f"{path}: column {name} holds no whole numbers.")
            rows[name] = rows[name].astype(np.int64)
        for name, default in times.items():
            rows[name] = to_numpy(table.column(name)) if name in present else np.full(table.num_rows, default)
            rows[name] = rows[name].astype(np.float64).reshape(table.num_rows)
        for name, kind in layout.OWN_COLUMNS.items():
            if name in present and str(table.schema.field(name).type) != kind:
                raise UserError(f"{path}: column {name} holds no {kind}.")
            rows[name] = _objects(table, name, None)
        rows["task"] = _objects(table, "tasks", lambda tasks: str(tasks[0]) if tasks else None)
        success = next((name for name in SUCCESS_COLUMNS if name in present), "")
        own = success == layout.OWN_SUCCESS
        rows["success"] = _objects(table, success, None if own else lambda highest: bool(highest[0]))
    return rows


def _objects(table: pa.Table, name: str, convert: Callable[[Any], Any] | None) -> np.ndarray:
    """A column as objects; None where a value or the column is missing."""
    found = np.full(table.num_rows, None, object)
    if name in table.column_names:
        values = table.column(name).to_pylist()
        found[:] = values if convert is None else [None if value is None else convert(value) for value in values]
    return found
