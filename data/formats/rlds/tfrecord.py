"""TFRecord files: positions of records, and reading one record.

A record is the length of its data (8 bytes), a checksum of the length (4), the data, and a checksum of the data (4),
numbers little-endian. Checksums are CRC32C, rotated and offset (masked), so that checksummed data may contain them.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vjepa_sim.envs.errors import UserError

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
SMALLEST = HEADER.size + FOOTER.size  # bytes of an empty record
CRC_OFFSET = 0xA282EAD8


@dataclass(frozen=True)
class Records:
    """Positions of a file's records.

    Attributes:
        spans: (start, length) of each record's data, bytes.
        damage: Fault after the last of them, or "".
    """

    spans: tuple[tuple[int, int], ...]
    damage: str


def masked_crc(data: bytes) -> int:
    """The checksum of a record's length or data."""
    import google_crc32c

    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + CRC_OFFSET) & 0xFFFFFFFF


def find_records(path: Path) -> Records:
    """Find the positions of records by their lengths, without reading the data; cached for each file.

    Raises:
        UserError: The file can't be read.
    """
    try:
        status = os.stat(path)
        return _walk(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path}: the file can't be read ({error.strerror}).") from error


def read_record(path: Path, number: int) -> bytes:
    """The data of one record, verified by the checksum.

    Raises:
        UserError: It is missing or damaged.
    """
    start, length = find_span(path, number)
    try:
        with open(path, "rb") as file:
            file.seek(start)
            data, footer = file.read(length), file.read(FOOTER.size)
    except (OSError, MemoryError) as error:
        raise UserError(f"{path}: record {number} can't be read ({error}).") from error
    if len(footer) < FOOTER.size or FOOTER.unpack(footer)[0] != masked_crc(data):
        raise UserError(f"{path}: record {number} is damaged (its checksum differs). Download the file again.")
    return data


def find_span(path: Path, number: int) -> tuple[int, int]:
    """Start and length of a record's data, bytes.

    Raises:
        UserError: The file ends, or is damaged, before the end of that record.
    """
    records = find_records(path)
    if number >= len(records.spans):
        reason = records.damage or f"the file holds only {len(records.spans)} records"
        raise UserError(f"{path}: record {number} is missing: {reason}. Download the file again.")
    return records.spans[number]


@lru_cache(maxsize=4096)
def _walk(path: Path, size: int, changed: int) -> Records:
    spans, place, damage = [], 0, ""
    with open(path, "rb", buffering=0) as file:
        while place < size:
            header = os.pread(file.fileno(), HEADER.size, place)
            if len(header) < HEADER.size:
                damage = f"it ends within record {len(spans)}"
                break
            length, crc = HEADER.unpack(header)
            if crc != masked_crc(header[:8]):
                damage = f"the length of record {len(spans)} is damaged (its checksum differs)"
                break
            if place + SMALLEST + length > size:
                damage = f"it ends within record {len(spans)}"
                break
            spans.append((place + HEADER.size, length))
            place += SMALLEST + length
    return Records(tuple(spans), damage)
