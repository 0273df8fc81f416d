"""An index of a data set's episodes, cached so that opening 100,000 episodes does not open all their files.

The index is a Parquet file in the user's cache; nothing is ever written into the data set itself. It is updated each
time: only new and changed episodes are examined.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from vjepa_sim.data.formats.format import Entry, Progress, no_progress
from vjepa_sim.envs.cache import cache_folder

VERSION = 6  # version of the index; one of another version is rebuilt
SAVE_EVERY = 30.0  # s between saves while an index is built
AT_ONCE = 64  # episodes examined at a time
LOOK_AGAIN = 100  # most bad episodes examined again
log = logging.getLogger(__name__)


def index_file(root: Path) -> Path:
    """Path of a data set's index."""
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
    return cache_folder() / "index" / f"{digest}.parquet"


def indexed(
    root: Path,
    changed: dict[str, int],
    describe: Callable[[str], Entry],
    on_progress: Progress = no_progress,
) -> list[Entry]:
    """Entries of a data set's episodes, from the index of earlier calls or made by ``describe``.

    Args:
        root: Root of the data set; the index is kept by its path.
        changed: Episode names in order, each with a number that changes when the episode does.
        describe: Makes the entry of a name; it puts errors into the entry and doesn't raise.
        on_progress: Called with the number of episodes examined and the total to examine.
    """
    path = index_file(root)
    known = _load(path)
    missing = [name for name, stamp in changed.items() if known.get(name, (None, None))[0] != stamp]
    # A bad episode may have been repaired without a change of its folder's time; examining many would take too long.
    wrong = [name for name in changed if name in known and known[name][1].error]
    missing = list(dict.fromkeys([*missing, *wrong[:LOOK_AGAIN]]))
    if missing:
        on_progress(0, len(missing))
        saved = time.monotonic()
        try:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                for start in range(0, len(missing), AT_ONCE):
                    names = missing[start : start + AT_ONCE]
                    for name, entry in zip(names, pool.map(describe, names), strict=True):
                        known[name] = (changed[name], entry)
                    on_progress(min(start + AT_ONCE, len(missing)), len(missing))
                    if time.monotonic() - saved > SAVE_EVERY:
                        _save(path, known)
                        saved = time.monotonic()
        finally:  # entries made before an interruption are kept
            _save(path, {name: each for name, each in known.items() if name in changed})
    return [known[name][1] for name in changed]


def _load(path: Path) -> dict[str, tuple[int, Entry]]:
    """Names to (stamp, entry); empty if there is no usable index."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        if (table.schema.metadata or {}).get(b"version") != str(VERSION).encode():
            return {}
        columns = {name: table.column(name).to_pylist() for name in ("stamp", *(each.name for each in fields(Entry)))}
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return {}
    columns["cameras"] = [tuple(roles) for roles in columns["cameras"]]
    columns["name"] = [os.fsdecode(name) for name in columns["name"]]
    stamps = columns.pop("stamp")
    entries = [Entry(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    return {entry.name: (stamp, entry) for stamp, entry in zip(stamps, entries, strict=True)}


def _encodable(entry: Entry) -> dict[str, Any]:
    """An entry's values; what isn't UTF-8 in its texts is escaped, but for the name."""
    values = asdict(entry)
    escaped = {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }
    return {**escaped, "name": os.fsencode(entry.name)}


def _save(path: Path, known: dict[str, tuple[int, Entry]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("stamp", pa.int64()),
            ("name", pa.binary()),  # of a folder or file, which needn't be UTF-8
            ("rows", pa.int64()),
            ("duration", pa.float64()),
            ("period", pa.float64()),
            ("cameras", pa.list_(pa.string())),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("success", pa.bool_()),
            ("task", pa.string()),
            ("seed", pa.int64()),
            ("arm", pa.string()),
            ("gripper", pa.string()),
            ("digest", pa.string()),
            ("remark", pa.string()),
            ("error", pa.string()),
        ],
        metadata={"version": str(VERSION)},
    )
    rows = [{"stamp": stamp, **_encodable(entry)} for stamp, entry in known.values()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        os.close(handle)
    except OSError as error:  # the data are readable without it, only slower to open
        log.warning("The index of the data set can't be kept in %s (%s).", path.parent, error)
        return
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema), partial)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
