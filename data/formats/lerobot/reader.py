"""Read LeRobot v3 data sets: ours, ports of DROID, and others with a Franka's states."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.encoded_frames import EncodedFrames
from vjepa_sim.data.episode import Camera, Episode, as_serial
from vjepa_sim.data.formats.format import Reader
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.data.formats.lerobot.catalog import as_success, read_catalog
from vjepa_sim.data.formats.lerobot.clock import measured_times, nominal_times
from vjepa_sim.data.formats.lerobot.closedness import check_closedness
from vjepa_sim.data.formats.lerobot.layout import Feature, Note
from vjepa_sim.data.formats.lerobot.states import find_states
from vjepa_sim.data.formats.lerobot.tables import check_size, open_table, read_rows, reading, to_numpy
from vjepa_sim.data.video import Video
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

TIME = "timestamp"

# Expected row shapes of features with a fixed meaning.
SIZES = {
    layout.POSE_COMMAND: (6,),
    layout.GRIPPER_COMMAND: (1,),
    layout.STAMP: (1,),
    TIME: (1,),
    layout.NEXT_SUCCESS: (1,),
    layout.SUCCESS: (1,),
}


class LeRobotReader(Reader):
    """Episodes of a LeRobot v3 data set.

    Opening reads the table of episodes, never the episodes; ``meta/tasks.parquet`` and ``meta/stats.json`` are not
    needed. Paths are those in ``meta/info.json``. Roles of cameras are assigned by :func:`.camera_roles`, states are
    found by :func:`.find_states`. Stamps are our own, or those of ``timestamp``, which is usually ``row / fps``; frames
    of videos are found by them, see :class:`.Claims`. Success is ``next.success`` in any row, or
    ``is_episode_successful``, where these are 0 and 1. Poses of a camera that aren't finite are unknown.

    Raises:
        UserError: The data set's description is missing or damaged, or it has no camera or no states.
    """

    format = "lerobot"

    def __init__(self, root: Path):
        self._info = layout.read_info(root)
        self._roles = layout.camera_roles(self._info.features)
        if not self._roles:
            raise UserError(f"{root / layout.INFO}: no camera among the features.")
        try:
            self._source = find_states(self._info)
        except UserError as error:
            raise UserError(f"{root / layout.INFO}: {error}") from error
        videos = [name for name in self._roles.values() if self._info.features[name].dtype == "video"]
        self._sizes = SIZES | {_extrinsics(name): (6,) for name in self._roles.values()}
        self._catalog = read_catalog(root, self._info, videos)
        self.root = root
        self._check_gripper()
        super().__init__(root, self._catalog.entries(self._info, self._roles))

    def digests(self) -> list[str]:
        """See :meth:`.Reader.digests`; all states are read, one data file after another."""
        found = [""] * len(self)
        columns = ["index", *sorted(self._source.columns)]
        readable = [number for number, entry in enumerate(self.entries) if not entry.error]
        for name, numbers in groupby(readable, lambda number: self._catalog.data_file(self._info, number)):
            path = self.root / name
            try:
                with reading(path), open_table(path) as file:
                    check_size(path, file.metadata, range(file.num_row_groups), columns)
                    table = file.read(columns)
                    rows = {column: self._array(table, column, path) for column in columns}
            except UserError:  # an error of its episodes, when they are read
                continue
            for number in numbers:
                _, start, stop = self._catalog.rows(number)
                first, last = np.searchsorted(rows["index"], [start, stop])
                if last - first == stop - start > 0 and rows["index"][first] == start:
                    part = {column: each[first:last] for column, each in rows.items()}
                    found[number] = self._source.digest_in(part)
        return found

    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """See :meth:`.Reader.read`; extras have the names of their features."""
        if self.entries[number].error:
            raise UserError(f"{self.where(number)}: {self.entries[number].error}.")
        try:
            return self._read(number, views, extras)
        except UserError as error:
            raise UserError(f"{self.where(number)}: {error}") from error

    def _note(self, number: int) -> Note | None:
        """Our note on an episode; None in sets that aren't ours."""
        text = self._catalog.labels[layout.NOTE][number]
        return None if text is None else layout.read_note(text)

    def _read(self, number: int, views: tuple[str, ...] | None, extras: bool) -> Episode:
        note = self._note(number)
        table, path = self._table(number, self._extras(note) if extras else ())
        with reading(path):
            rows = {name: self._array(table, name, path) for name in table.column_names}
            self._check_indices(number, rows, path)
            states, joints = self._source.take(rows)
            times = self._times(rows)
        episode = Episode(
            cameras=self._cameras(note, rows),
            states=states,
            stamps=rows.get(layout.STAMP, times).astype(np.float64).reshape(-1),
            commands=_commands(rows),
            joints=joints,
            task=self.entries[number].task,
            success=_success(rows) if note is None else self.entries[number].success,
            seed=self.entries[number].seed,
            privileged={name: rows[column] for column, name in self._own_names(layout.PRIVILEGED).items()},
            extras={name: rows[column] for column, name in (self._extras(note) if extras else {}).items()},
        )
        if note is not None:
            episode = replace(episode, behavior=note.behavior, details=note.details)
        wanted = episode.cameras
        if views is not None:  # selected before a video is opened
            chosen = {episode.view(view).role for view in views}
            wanted = tuple(camera for camera in wanted if camera.role in chosen)
        return replace(episode, cameras=tuple(self._with_frames(camera, number, times) for camera in wanted))

    def _times(self, rows: dict[str, np.ndarray]) -> np.ndarray:
        """Seconds [T] of rows since the first."""
        if TIME in rows:
            return measured_times(rows[TIME], self._info.fps)
        return nominal_times(len(rows["index"]), self._info.fps)

    def _check_gripper(self) -> None:
        """Look at the gripper's numbers in the first data file of a foreign set.

        Raises:
            UserError: They aren't closedness.
        """
        if self._catalog.labels[layout.NOTE][0] is not None:
            return
        name, component = self._source.gripper
        path = self.root / layout.INFO
        try:
            path = self.root / self._catalog.data_file(self._info, 0)
            with reading(path), open_table(path) as file:
                check_size(path, file.metadata, range(file.num_row_groups), [name])
                values = to_numpy(file.read([name]).column(name))
                values = values.reshape(len(values), -1)[:, component].astype(np.float64)
        except UserError:  # an error of its episodes, when they are read
            return
        try:
            check_closedness(values, name)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def _table(self, number: int, extras: Iterable[str]) -> tuple[pa.Table, Path]:
        """The needed columns of an episode's rows, and their file."""
        features = self._info.features
        _, start, stop = self._catalog.rows(number)
        path = self.root / self._catalog.data_file(self._info, number)
        wanted = {
            *self._source.columns,
            *(name for name in (layout.POSE_COMMAND, layout.GRIPPER_COMMAND, layout.STAMP, TIME) if name in features),
            *(name for name in (layout.NEXT_SUCCESS, layout.SUCCESS) if name in features),
            *(name for name in map(_extrinsics, self._roles.values()) if name in features),
            *self._own_names(layout.PRIVILEGED),
            *extras,
        }
        columns = [*sorted(wanted), "index", "episode_index", "frame_index"]
        return read_rows(path, start, stop, columns).select(columns), path

    def _extras(self, note: Note | None) -> dict[str, str]:
        """Columns without another use, and their names in an episode's extras."""
        if note is not None:
            return self._own_names(layout.EXTRAS)
        used = {
            *self._source.columns,
            *(layout.POSE_COMMAND, layout.GRIPPER_COMMAND, layout.STAMP, layout.NEXT_SUCCESS, layout.SUCCESS),
            *map(_extrinsics, self._roles.values()),
            *self._own_names(layout.PRIVILEGED),
            *layout.INDICES,
        }
        kinds = ("float", "int", "uint", "bool")
        features = self._info.features.items()
        return {name: name for name, feature in features if feature.dtype.startswith(kinds) and name not in used}

    def _own_names(self, prefix: str) -> dict[str, str]:
        return layout.own_names(prefix, self._info.features)

    def _array(self, table: pa.Table, name: str, path: Path) -> np.ndarray:
        """A column as an array [T, …]; a single number is [T, 1] if its feature has a named axis, otherwise [T].

        Raises:
            UserError: Its type or shape is not its feature's, or not the expected one.
        """
        try:
            array = to_numpy(table.column(name))
        except ValueError as error:
            raise UserError(f"{path}: column {name}: {error}.") from error
        feature = self._info.features.get(name, Feature("int64", (1,)))
        words = feature.dtype == "string" and name in self._own_names(layout.EXTRAS)
        if (array.dtype.kind == "U") != words:
            kind, wanted = table.column(name).type, "texts" if words else "numbers"
            raise UserError(f"{path}: column {name} holds {kind}; {wanted} were expected.")
        for shape in (self._sizes.get(name, feature.shape), feature.shape):
            if array.shape[1:] not in (shape, () if shape == (1,) else shape):
                raise UserError(f"{path}: column {name} has rows of shape {list(array.shape[1:])}, not {list(shape)}.")
        if feature.shape == (1,):
            return array.reshape(-1, 1) if feature.names is not None else array.reshape(-1)
        return array

    def _check_indices(self, number: int, rows: dict[str, np.ndarray], path: Path) -> None:
        episode, start, stop = self._catalog.rows(number)
        expected = {"index": np.arange(start, stop), "episode_index": episode, "frame_index": np.arange(stop - start)}
        for name, values in expected.items():
            if not np.array_equal(rows[name].reshape(-1), np.broadcast_to(values, stop - start)):
                raise UserError(f"{path}: {name} doesn't count the episode's rows as {layout.EPISODES} does.")

    def _cameras(self, note: Note | None, rows: dict[str, np.ndarray]) -> tuple[Camera, ...]:
        """All cameras, with blank frames."""
        blank = np.broadcast_to(np.zeros((1, 1, 1, 3), np.uint8), (len(rows["index"]), 1, 1, 3))
        noted = {} if note is None else note.cameras
        roles = [*(role for role in noted if role in self._roles), *(role for role in self._roles if role not in noted)]
        cameras = []
        for role in roles:
            feature = self._roles[role]
            serial, intrinsics = noted.get(role, (as_serial(feature.removeprefix(layout.IMAGES)), None))
            if serial in [camera.serial for camera in cameras]:  # of names that differ in other letters only
                serial = role
            extrinsics = rows.get(_extrinsics(feature))
            pose = None if extrinsics is None or not np.isfinite(extrinsics).all() else extrinsics.astype(np.float64)
            cameras.append(Camera(serial, blank, role=role, extrinsics=pose, intrinsics=intrinsics))
        return tuple(cameras)

    def _with_frames(self, camera: Camera, number: int, times: np.ndarray) -> Camera:
        name = self._roles[camera.role]
        _, start, stop = self._catalog.rows(number)
        if self._info.features[name].dtype == "image":
            path = self.root / self._catalog.data_file(self._info, number)
            with reading(path):
                values = read_rows(path, start, stop, [name]).column(name).to_pylist()
                images = [value["bytes"] for value in values]
            if not all(isinstance(image, bytes) for image in images):
                raise UserError(f"{path}: images of {name} aren't in the table.")
            return replace(camera, frames=EncodedFrames(f"{self.where(number)}, {name}", images))
        video = self.root / self._catalog.video_file(self._info, number, name)
        return replace(camera, frames=Video(video, self._catalog.claims[name].frames(number, video, times)))


def _extrinsics(camera: str) -> str:
    return layout.EXTRINSICS + camera.removeprefix(layout.IMAGES)


def _commands(rows: dict[str, np.ndarray]) -> np.ndarray | None:
    if layout.POSE_COMMAND not in rows or layout.GRIPPER_COMMAND not in rows:
        return None
    return np.column_stack([rows[layout.POSE_COMMAND], rows[layout.GRIPPER_COMMAND]]).astype(np.float64)


def _success(rows: dict[str, np.ndarray]) -> bool | None:
    found = [rows[name] for name in (layout.NEXT_SUCCESS, layout.SUCCESS) if name in rows]
    return as_success(found[0].max()) if found else None
