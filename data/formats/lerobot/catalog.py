"""The table of episodes in meta/episodes: lengths and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.data.formats.format import Entry
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.data.formats.lerobot.claims import Claims
from vjepa_sim.data.formats.lerobot.clock import PLAUSIBLE, ROUNDING
from vjepa_sim.data.formats.lerobot.layout import EPISODES, INFO, Info, fields_of, fill
from vjepa_sim.data.formats.lerobot.tables import open_table, reading, to_numpy
from vjepa_sim.data.walk import find_files
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = ("episode_index", "length", "dataset_from_index", "dataset_to_index")
LABELS = (layout.SEED, layout.ARM_NAME, layout.GRIPPER_NAME)
FIRST_TIME, LAST_TIME = "stats/timestamp/min", "stats/timestamp/max"
SUCCESS_COLUMNS = (layout.OWN_SUCCESS, f"stats/{layout.NEXT_SUCCESS}/max", f"stats/{layout.SUCCESS}/max")


@dataclass(frozen=True)
class Catalog:
    """The columns of meta/episodes that are needed to list and open episodes, in the order of their numbers.

    Attributes:
        numbers: int64 [N] by column; with file columns only if the path templates have them.
        claims: Parts of the video files by camera feature.
        durations: float64 [N], seconds from the first row to the last by the statistics of ``timestamp``; NaN where
            missing.
        labels: Lists [N] by name: ``task``, ``success``, and :data:`.OWN_COLUMNS` of our sets; None where missing.
    """

    numbers: dict[str, np.ndarray]
    claims: dict[str, Claims]
    durations: np.ndarray
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
            *self._times(info),
            *(self.labels[name] for name in LABELS),
            strict=True,
        )
        return [
            Entry(
                name=f"episode {index}",
                rows=rows,
                duration=duration,
                period=period,
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

    def _times(self, info: Info) -> tuple[list[float], list[float]]:
        """Durations and periods: our own, or by the statistics of ``timestamp`` where plausible, or by the rate."""
        steps = np.maximum(self.numbers["length"] - 1, 1)
        nominal = np.maximum(self.numbers["length"] - 1, 0) / info.fps
        with np.errstate(invalid="ignore"):
            near = (self.durations > nominal / PLAUSIBLE) & (self.durations < nominal * PLAUSIBLE)
            rounded = np.abs(self.durations - nominal) <= ROUNDING + 1e-6 * nominal
        measured = np.where(near & ~rounded, self.durations, nominal)
        periods = np.where(near & ~rounded, self.durations / steps, 1 / info.fps)
        own = zip(self.labels[layout.DURATION], self.labels[layout.PERIOD], strict=True)
        both = [
            (measured[number] if duration is None else duration, periods[number] if period is None else period)
            for number, (duration, period) in enumerate(own)
        ]
        return [float(duration) for duration, _ in both], [float(period) for _, period in both]

    def _problems(self, info: Info) -> list[str]:
        """Faults of episodes found in this table, or ""."""
        _, length, start, stop = (self.numbers[name] for name in ROWS)
        problems = np.full(len(length), "", object)
        for camera, claims in self.claims.items():
            frames = claims.starts * info.fps
            valid = (frames >= 0) & (frames < 1e9)
            problems[~valid] = f"{EPISODES}: its video of {camera} has no valid start"
            if valid.all():
                for number, reason in claims.overlaps().items():
                    file = self.video_file(info, number, camera)
                    problems[number] = f"{EPISODES}: {reason} of {file}; the starts in it can't be relied on"
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
    paths = find_files(root / EPISODES, (".parquet",)) if (root / EPISODES).is_dir() else []
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
    times |= {FIRST_TIME: np.nan, LAST_TIME: np.nan}
    required = {*integers, *(starts.values() if shared else ())}
    parts = [_read_part(path, integers, times, required) for path in paths]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["episode_index"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    twice = columns["episode_index"][1:][np.diff(columns["episode_index"]) == 0]
    if len(twice):
        raise UserError(
            f"{root / EPISODES}: episodes are described more than once, first episode {twice[0]}, in "
            f"{', '.join(path.name for path in paths)}. Is one of the files a copy?"
        )
    if np.isnan(columns[LAST_TIME]).all():
        _read_times(root, info, columns)
    claims = {
        camera: Claims(
            camera=camera,
            fps=info.fps,
            episodes=columns["episode_index"],
            lengths=columns["length"],
            files=_files(columns, _file_columns(info.video_path, f"videos/{camera}"), shared),
            starts=columns[starts[camera]],
            stops=columns[ends[camera]],
        )
        for camera in cameras
    }
    return Catalog(
        {name: columns[name] for name in integers},
        claims,
        columns[LAST_TIME] - columns[FIRST_TIME],
        {name: columns[name].tolist() for name in ("task", "success", *layout.OWN_COLUMNS)},
    )


def _read_times(root: Path, info: Info, columns: dict[str, np.ndarray]) -> None:
    """Fill in the first and the last ``timestamp`` of episodes from the data files, for sets without statistics."""
    names = _file_columns(info.data_path, "data")
    if "timestamp" not in info.features or not names:
        return
    files = _files(columns, names, shared="episode_index" not in fields_of(info.data_path))
    for file in np.unique(files):
        inside = np.flatnonzero(files == file)
        values = {"episode_chunk": 0, "episode_index": int(columns["episode_index"][inside[0]])}
        values |= {name.removeprefix("data/"): int(columns[name][inside[0]]) for name in names}
        path = root / fill(info.data_path, values)
        try:
            with reading(path), open_table(path) as table:
                rows = table.read(["index", "timestamp"])
                order, stamps = to_numpy(rows.column("index")), to_numpy(rows.column("timestamp")).reshape(-1)
                ends = columns["dataset_from_index"][inside], columns["dataset_to_index"][inside] - 1
                first, last = (np.clip(each - order[0], 0, len(stamps) - 1) for each in ends)
                columns[FIRST_TIME][inside], columns[LAST_TIME][inside] = stamps[first], stamps[last]
        except UserError:  # an error of its episodes, when they are read
            continue


def _files(columns: dict[str, np.ndarray], names: list[str], shared: bool) -> np.ndarray:
    """Numbers [N] of the files of episodes; equal for episodes in one file."""
    if not shared:
        return columns["episode_index"]
    if not names:
        return np.zeros(len(columns["episode_index"]), np.int64)
    _, numbers = np.unique(np.stack([columns[name] for name in names]), axis=1, return_inverse=True)
    return numbers.reshape(-1)


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
        rows["success"] = _objects(table, success, None if own else lambda highest: as_success(highest[0]))
    return rows


def as_success(highest: float | bool) -> bool | None:
    """Success by the highest value in an episode: 0 or 1; None (unknown) for others, as of a dense reward."""
    return bool(highest) if highest in (0, 1) else None


def _objects(table: pa.Table, name: str, convert: Callable[[Any], Any] | None) -> np.ndarray:
    """A column as objects; None where a value or the column is missing."""
    found = np.full(table.num_rows, None, object)
    if name in table.column_names:
        values = table.column(name).to_pylist()
        found[:] = values if convert is None else [None if value is None else convert(value) for value in values]
    return found
