"""Write episodes as a LeRobot v3 data set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.files import write_json
from vjepa_sim.data.formats.format import Writer
from vjepa_sim.data.formats.lerobot import layout
from vjepa_sim.data.formats.lerobot.content import Kind, columns_of, kind_of
from vjepa_sim.data.formats.lerobot.layout import Feature
from vjepa_sim.data.formats.lerobot.rolling import LIMITS, Limits, RollingTables, RollingVideos
from vjepa_sim.data.formats.lerobot.statistics import NAMES, ImageCounter, Statistics, describe, merge
from vjepa_sim.data.formats.lerobot.survey import Survey
from vjepa_sim.data.formats.lerobot.tables import to_arrow
from vjepa_sim.envs.arms import ARMS, PANDA
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 64  # frames encoded at a time
EPISODES_AT_ONCE = 100  # episodes per row group of meta/episodes


class LeRobotWriter(Writer):
    """Appends episodes to a LeRobot v3 data set with DROID's names.

    LeRobot's policies use ``observation.state`` (our state, float32) and ``action`` (the pose difference to the next
    state, base frame, zeros in the last row). All numbers of an episode are also stored as float64, so that reading
    returns equal ones; only images are compressed. A set has one nominal rate, that of the first episode, from which
    others may differ by a tenth; real stamps are in ``vjepa_sim.stamp``, since ``timestamp`` must be
    ``frame_index / fps``.

    Files are complete when :meth:`close` returns, which a ``with`` block calls even after an error; episodes written
    before are then readable. If the process is killed, open files are incomplete and ``meta/info.json`` is missing:
    write the set again.
    """

    format = "lerobot"
    alike = True

    def __init__(self, path: Path, limits: Limits = LIMITS):
        self._root, self._limits = path, limits
        self._kind: Kind | None = None
        self._surveyed = False
        self._robot = ""
        self._data = RollingTables(path, layout.DATA_PATH, limits)
        self._episodes = RollingTables(path, layout.EPISODES_PATH, limits)
        self._videos: dict[str, RollingVideos] = {}
        self._waiting: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._statistics: dict[str, Statistics] = {}
        self._count, self._frames = 0, 0
        self._closed = False

    def prepare(self, episodes: Iterable[Episode]) -> list[str]:
        """See :meth:`.Writer.prepare`; the set gets the features of :class:`.Survey`."""
        survey = Survey(episodes)
        self._kind = survey.kind()
        self._surveyed = self._kind is not None
        return [] if self._kind is None else survey.missing(self._kind)

    def write(self, episode: Episode) -> None:
        """Append an episode; of a set that was prepared, only what the set has.

        Raises:
            UserError: Its rate, cameras, sizes or optional parts differ from those of the episodes before, it is the
                first and has no valid rate, or it holds something that can't be written.
        """
        where = f"Episode {self._count} of {self._root}"
        try:
            if self._kind is not None and self._surveyed:
                episode = self._kind.shared(episode)
            columns = columns_of(episode)
            if self._kind is not None and self._surveyed:
                columns = {name: column for name, column in columns.items() if name in self._kind.features}
            kind = kind_of(episode, columns) if self._kind is None else self._kind
            described: dict[str, Any] = layout.own_columns(episode)
            arrays = {name: to_arrow(name, column) for name, column in columns.items()}
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        differences = kind.differences(episode, columns)
        if differences:
            others = "the others" if self._surveyed else "those before"
            raise UserError(
                f"{where} differs from {others}: {differences}. Write it to a new set, or keep only cameras that all "
                "episodes have, or write droid or robomimic, whose episodes may differ."
            )
        self._kind, self._robot = kind, self._robot or _robot_type(episode)
        # Videos first: frames in a video are not part of the set until meta/episodes lists them.
        statistics = {name: describe(column) for name, column in columns.items() if column.dtype.kind in "biuf"}
        for camera in episode.cameras:
            name = layout.IMAGES + layout.camera_name(camera.role)
            place, statistics[name] = self._write_frames(name, camera, kind.fps)
            described |= place
        self._write_rows(kind, episode.task, arrays, described, statistics)

    def close(self) -> None:
        """Finish all files; without an episode, nothing is written."""
        if self._closed:
            return
        self._closed = True
        for video in self._videos.values():
            video.close()
        self._data.close()
        self._flush_episodes()
        self._episodes.close()
        if self._kind is not None and self._count:
            self._write_tasks()
            statistics = {name: _listed(each) for name, each in self._statistics.items()}
            write_json(self._root / layout.STATS, statistics)
            write_json(self._root / layout.INFO, self._info(self._kind))

    def _write_frames(self, name: str, camera: Camera, fps: int) -> tuple[dict[str, Any], Statistics]:
        """Append a camera's frames; returns their place as columns of meta/episodes, and their statistics."""
        videos = self._videos.setdefault(
            name, RollingVideos(self._root, layout.VIDEO_PATH, camera=name, fps=fps, limits=self._limits)
        )
        counter = ImageCounter(len(camera.frames))
        place, first = videos.begin(len(camera.frames))
        for start in range(0, len(camera.frames), BLOCK):
            frames = camera.frames[start : start + BLOCK]
            videos.append(frames)
            counter.add(start, frames)
        place |= {
            "from_timestamp": first / fps,
            "to_timestamp": (first + len(camera.frames)) / fps,
        }
        return {f"videos/{name}/{key}": value for key, value in place.items()}, counter.describe()

    def _write_rows(
        self,
        kind: Kind,
        task: str,
        arrays: dict[str, pa.Array],
        described: dict[str, Any],
        statistics: dict[str, Statistics],
    ) -> None:
        import pyarrow as pa

        rows = len(next(iter(arrays.values())))
        number = self._tasks.setdefault(task, len(self._tasks))
        counted = {
            "timestamp": (np.arange(rows) / kind.fps).astype(np.float32),
            "frame_index": np.arange(rows),
            "episode_index": np.full(rows, self._count),
            "index": np.arange(self._frames, self._frames + rows),
            "task_index": np.full(rows, number),
        }
        statistics |= {name: describe(column) for name, column in counted.items()}
        ordered = {name: arrays[name] for name in kind.features if name in arrays}
        table = pa.table(ordered | {name: pa.array(each) for name, each in counted.items()})
        place = self._data.begin(table.nbytes)
        self._data.append(table)
        self._waiting.append(
            {
                "episode_index": self._count,
                "tasks": [task],
                "length": rows,
                **{f"data/{name}": value for name, value in place.items()},
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + rows,
                **described,
                **{
                    f"stats/{name}/{key}": value
                    for name, each in statistics.items()
                    for key, value in _listed(each).items()
                },
            }
        )
        for name, each in statistics.items():
            self._statistics[name] = merge(self._statistics[name], each) if name in self._statistics else each
        self._count += 1
        self._frames += rows
        if len(self._waiting) == EPISODES_AT_ONCE:
            self._flush_episodes()

    def _flush_episodes(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        table = pa.Table.from_pylist(self._waiting)
        self._waiting = []
        for name, kind in layout.OWN_COLUMNS.items():  # a column of unknown values has no type
            table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
        for name, value in self._episodes.begin(table.nbytes).items():
            table = table.append_column(f"{layout.EPISODES}/{name}", pa.array(np.full(len(table), value)))
        self._episodes.append(table)

    def _write_tasks(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"task_index": pa.array(range(len(self._tasks)), pa.int64()), "task": list(self._tasks)})
        columns = [{"name": name, "field_name": name, "metadata": None} for name in table.column_names]
        columns[0] |= {"pandas_type": "int64", "numpy_type": "int64"}
        columns[1] |= {"pandas_type": "unicode", "numpy_type": "object"}
        index = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
        pandas = {
            "index_columns": ["task"],  # LeRobot finds tasks by it
            "column_indexes": [index | {"metadata": {"encoding": "UTF-8"}}],
            "columns": columns,
            "attributes": {},
            "creator": {"library": "pyarrow", "version": pa.__version__},
            "pandas_version": "2.3.3",
        }
        with open(self._root / layout.TASKS, "wb") as file:  # pyarrow opens no paths that aren't UTF-8
            pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), file)

    def _info(self, kind: Kind) -> dict[str, Any]:
        counted = {name: Feature("float32" if name == "timestamp" else "int64", (1,)) for name in layout.INDICES}
        features = {
            name: replace(each, info={"video.fps": kind.fps, **each.info}) if each.is_camera else each
            for name, each in kind.features.items()
        }
        return {
            "codebase_version": "v3.0",
            "robot_type": self._robot,
            "fps": kind.fps,
            "features": {name: feature.entry() for name, feature in (features | counted).items()},
            "total_episodes": self._count,
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": self._limits.files,
            "data_files_size_in_mb": self._limits.data_megabytes,
            "video_files_size_in_mb": self._limits.video_megabytes,
            "splits": {"train": f"0:{self._count}"},
            "data_path": layout.DATA_PATH,
            "video_path": layout.VIDEO_PATH,
        }


def _robot_type(episode: Episode) -> str:
    """LeRobot's name of the robot: ``franka`` for the Panda, as in DROID's own sets, and where no arm is recorded."""
    name = str(episode.details.get("arm", PANDA.name))
    return ARMS[name].title.lower() if name in ARMS else name


def _listed(statistics: Statistics) -> dict[str, list]:
    return {name: statistics[name].tolist() for name in NAMES}
