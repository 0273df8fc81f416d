"""Series of files of limited size: a new file is begun when the last has reached its limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from vjepa_sim.data.formats.lerobot.layout import fill
from vjepa_sim.data.video import VideoWriter

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MEGABYTE = 2**20
GROUP = 2  # frames from one keyframe to the next, as in LeRobot: training reads frames at random


@dataclass(frozen=True)
class Limits:
    """Limits of files and folders, by default LeRobot's.

    Attributes:
        data_megabytes: Megabytes of a Parquet file.
        video_megabytes: Megabytes of an MP4 file.
        files: Files per folder.
    """

    data_megabytes: float = 100
    video_megabytes: float = 200
    files: int = 1000


LIMITS = Limits()


class RollingTables:
    """Parquet files of one schema, each table a row group of its own."""

    def __init__(self, root: Path, template: str, limits: Limits):
        self._root, self._template, self._limits = root, template, limits
        self._number = -1
        self._open: tuple[pq.ParquetWriter, BinaryIO] | None = None
        self._schema: pa.Schema | None = None

    def begin(self, size: int) -> dict[str, int]:
        """``chunk_index`` and ``file_index`` of the file for a table of ``size`` bytes."""
        if self._open is None or self._open[1].tell() + size > self._limits.data_megabytes * MEGABYTE:
            self.close()
            self._number += 1
        return _place(self._number, self._limits)

    def append(self, table: pa.Table) -> None:
        """Append a table to the file of :meth:`begin`."""
        import pyarrow.parquet as pq

        schema = self._schema = self._schema or table.schema
        if self._open is None:
            path = self._root / fill(self._template, _place(self._number, self._limits))
            path.parent.mkdir(parents=True, exist_ok=True)
            sink = open(path, "wb")  # noqa: SIM115  (pyarrow opens no paths that aren't UTF-8)
            self._open = (pq.ParquetWriter(sink, schema, compression="snappy", write_page_checksum=True), sink)
        self._open[0].write_table(table.select(schema.names).cast(schema))

    def close(self) -> None:
        """Finish the file that is open."""
        for each in self._open or ():  # the table before the file that it is written to
            each.close()
        self._open = None


class RollingVideos:
    """MP4 files of one camera."""

    def __init__(self, root: Path, template: str, *, camera: str, fps: int, limits: Limits):
        self._root, self._template, self._camera = root, template, camera
        self._fps, self._limits = fps, limits
        self._number = -1
        self._path = root
        self._writer: VideoWriter | None = None

    def begin(self, rows: int) -> tuple[dict[str, int], int]:
        """``chunk_index`` and ``file_index`` of the file for so many frames, and the number of the first one in it."""
        if self._writer is None or self._expected_size(self._writer, rows) > self._limits.video_megabytes * MEGABYTE:
            self.close()
            self._number += 1
            values = {"video_key": self._camera, **_place(self._number, self._limits)}
            self._path = self._root / fill(self._template, values)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = VideoWriter(self._path, self._fps, group=GROUP)
        return _place(self._number, self._limits), self._writer.count

    def append(self, frames: np.ndarray) -> None:
        """Append frames uint8 [N, H, W, 3] to the file of :meth:`begin`."""
        if self._writer is None:
            raise RuntimeError("begin() opens the file that frames are appended to; call it first")
        self._writer.add(frames)

    def close(self) -> None:
        """Finish the file that is open."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _expected_size(self, writer: VideoWriter, rows: int) -> float:
        """Bytes of the file with so many more frames, if they are as large as those before."""
        if not self._path.exists():  # until the encoder returns the first of the frames that it holds back
            return 0.0
        return self._path.stat().st_size * (1 + rows / max(1, writer.count))


def _place(number: int, limits: Limits) -> dict[str, int]:
    chunk, file = divmod(number, limits.files)
    return {"chunk_index": chunk, "file_index": file}
