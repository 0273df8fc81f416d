"""Conversion between Parquet and NumPy, and reading one episode's rows from a file of many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Repeated values take space in memory only.
MAX_ROWS = 10_000_000  # of a file
MAX_VALUES = 2**26  # numbers that are read at once


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors that the parser raises for a damaged Parquet file into a UserError with its name."""
    import pyarrow as pa

    try:
        yield
    except UserError:
        raise
    except (
        pa.ArrowException,
        OSError,
        KeyError,
        ValueError,
        IndexError,
        TypeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise UserError(f"{path}: can't be read ({error}). Is it complete?") from error


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """A column as an array: [T, …] for numbers or lists of numbers, [T] for strings.

    Raises:
        ValueError: Values are missing, lists differ in length, or it holds something else.
    """
    import pyarrow as pa

    array = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    shape = [len(array)]
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if array.null_count:
            raise ValueError("values are missing")
        if pa.types.is_fixed_size_list(array.type):
            shape.append(array.type.list_size)
        elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
            lengths = np.unique(array.value_lengths().to_numpy(zero_copy_only=False))
            if len(lengths) != 1:
                raise ValueError("lists differ in length")
            shape.append(int(lengths[0]))
        else:
            break
        array = array.flatten()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return np.array(array.to_pylist(), str).reshape(shape)
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"a column of type {column.type}")
    return values.reshape(shape)


def to_arrow(name: str, array: np.ndarray) -> pa.Array:
    """The inverse of :func:`to_numpy`, as in LeRobot: [T] and [T, 1] as plain numbers, [T, N] as lists of fixed size.

    Raises:
        UserError: The format has no numbers of this type.
    """
    import pyarrow as pa

    if array.dtype.kind in "UO" and array.ndim == 1 and all(isinstance(each, str) for each in array):
        return pa.array(array.tolist(), pa.string())
    if array.dtype.kind not in "biuf" or not array.size:
        raise UserError(f"{name}, an array {list(array.shape)} of {array.dtype}, can't be written in LeRobot's format.")
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    try:
        flat = pa.array(native.reshape(-1))
    except pa.ArrowException as error:
        raise UserError(f"{name}, an array of {array.dtype}, can't be written in LeRobot's format.") from error
    sizes = array.shape[1:]
    if sizes in ((), (1,)):
        return flat
    if len(sizes) == 1:
        return pa.FixedSizeListArray.from_arrays(flat, sizes[0])
    for size in reversed(sizes):
        flat = pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, size, dtype=np.int32), flat)
    return flat


def open_table(path: Path) -> pq.ParquetFile:
    """An open Parquet file with verification of its checksums, if any. Raises errors that :func:`reading` catches."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, page_checksum_verification=True)
    if file.metadata.num_rows > MAX_ROWS:
        rows = file.metadata.num_rows
        file.close()
        raise UserError(f"{path}: it claims {rows:,} rows; at most {MAX_ROWS:,} are read from a file.")
    return file


def check_size(path: Path, metadata: pq.FileMetaData, groups: Iterable[int], columns: Iterable[str]) -> None:
    """Raise :class:`.UserError` if columns claim more numbers than are read at once: compressed, they may be small."""
    wanted, claimed = set(columns), 0
    for group in map(metadata.row_group, groups):
        parts = map(group.column, range(group.num_columns))
        claimed += sum(part.num_values for part in parts if part.path_in_schema.partition(".list")[0] in wanted)
    if claimed > MAX_VALUES:
        raise UserError(f"{path}: its columns claim {claimed:,} numbers; at most {MAX_VALUES:,} are read at once.")


def read_rows(path: Path, start: int, stop: int, columns: list[str]) -> pa.Table:
    """Rows of a data file by their global ``index``; only the row groups needed are read.

    Args:
        path: Path of the file.
        start, stop: Index of the first row, and one past that of the last row.
        columns: Columns to read.

    Raises:
        UserError: The file is missing or damaged, or lacks rows or columns.
    """
    with reading(path):
        status = os.stat(path)
        metadata, ends, first = _row_groups(path, status.st_size, status.st_mtime_ns)
        low, high = start - first, stop - first
        if low < 0 or high > ends[-1]:
            raise UserError(
                f"{path}: it has rows {first} to {first + ends[-1] - 1}; {start} to {stop - 1} were expected."
            )
        groups = range(int(np.searchsorted(ends, low, "right")), int(np.searchsorted(ends, high - 1, "right")) + 1)
        check_size(path, metadata, groups, columns)
        before = int(ends[groups[0] - 1]) if groups[0] else 0
        with _with_metadata(path, metadata) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise UserError(f"{path}: columns are missing: {', '.join(missing)}.")
            table = file.read_row_groups(list(groups), columns, use_threads=False)
        return table.slice(low - before, high - low)


def _with_metadata(path: Path, metadata: pq.FileMetaData) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, metadata=metadata, page_checksum_verification=True)


@lru_cache(maxsize=128)
def _row_groups(path: Path, size: int, changed: int) -> tuple[pq.FileMetaData, np.ndarray, int]:
    """A data file's metadata, the number of rows up to the end of each row group, and its first row's index."""
    with open_table(path) as file:
        metadata = file.metadata
        ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
        first = to_numpy(file.read_row_group(0, ["index"], use_threads=False).column("index"))[0]
    return metadata, ends, int(first)
