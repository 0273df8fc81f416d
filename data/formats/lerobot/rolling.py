"""Files that follow each other: a new one is begun when the last has grown to its limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.formats.lerobot.layout import fill
from vjepa_sim.data.video import VideoWriter

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MEGABYTE = 2**20
GROUP = 2  # frames from keyframe to keyframe, as LeRobot has it: training reads frames at random


@dataclass(frozen=True)
class Limits:
    """When a new file is begun; LeRobot's own numbers.

    Attributes:
        data_megabytes: of Parquet.
        video_megabytes: of MP4.
        files: to a folder.
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
        self._writer: pq.ParquetWriter | None = None
        self._sink: pa.NativeFile | None = None
        self._schema: pa.Schema | None = None

    def begin(self, size: int) -> dict[str, int]:
        """``chunk_index`` and ``file_index`` of the file that a table of so many bytes will go to."""
        if self._writer is None or self._sink.tell() + size > self._limits.data_megabytes * MEGABYTE:
            self.close()
            self._number += 1
        return _place(self._number, self._limits)

    def append(self, table: pa.Table) -> None:
        """Write a table to the file that :meth:`begin` named."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            path = self._root / fill(self._template, _place(self._number, self._limits))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._schema = self._schema or table.schema
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pq.ParquetWriter(self._sink, self._schema, compression="snappy", write_page_checksum=True)
        self._writer.write_table(table.select(self._schema.names).cast(self._schema))

    def close(self) -> None:
        """Finish the file that is open."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
        self._writer = None


class RollingVideos:
    """MP4 files of one camera."""

    def __init__(self, root: Path, template: str, *, camera: str, fps: int, limits: Limits):
        self._root, self._template, self._camera = root, template, camera
        self._fps, self._limits = fps, limits
        self._number = -1
        self._path = root
        self._writer: VideoWriter | None = None

    def begin(self, rows: int) -> tuple[dict[str, int], int]:
        """``chunk_index`` and ``file_index`` of the file that so many frames will go to, and the first one's number."""
        if self._writer is None or self._expected_size(rows) > self._limits.video_megabytes * MEGABYTE:
            self.close()
            self._number += 1
            values = {"video_key": self._camera, **_place(self._number, self._limits)}
            self._path = self._root / fill(self._template, values)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = VideoWriter(self._path, self._fps, group=GROUP)
        return _place(self._number, self._limits), self._writer.count

    def append(self, frames: np.ndarray) -> None:
        """Write uint8 [N, H, W, 3] to the file that :meth:`begin` named."""
        self._writer.add(frames)

    def close(self) -> None:
        """Finish the file that is open."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _expected_size(self, rows: int) -> float:
        """Bytes once so many frames more are there, if they are like the ones before."""
        frames = self._writer.count
        return self._path.stat().st_size * (1 + rows / frames) if frames else 0.0


def _place(number: int, limits: Limits) -> dict[str, int]:
    chunk, file = divmod(number, limits.files)
    return {"chunk_index": chunk, "file_index": file}
