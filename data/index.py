"""What a data set holds, looked up once and remembered: opening 100,000 episodes must not mean opening their files.

The index is a Parquet file in the user's cache; nothing is ever written into the data set itself. It is brought up to
date each time: only episodes that are new, or that have changed, are looked at.
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

from vjepa_sim.data.formats.format import Entry, Progress, no_progress
from vjepa_sim.envs.cache import cache_folder

VERSION = 3  # of what is remembered; an index of another version is made anew
SAVE_EVERY = 30.0  # s between two savings of an index in the making
AT_ONCE = 64
LOOK_AGAIN = 100  # bad episodes
log = logging.getLogger(__name__)


def index_file(root: Path) -> Path:
    """Where the index of a data set lies."""
    digest = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:24]
    return cache_folder() / "index" / f"{digest}.parquet"


def indexed(
    root: Path,
    changed: dict[str, int],
    describe: Callable[[str], Entry],
    on_progress: Progress = no_progress,
) -> list[Entry]:
    """Entries of a data set's episodes, remembered from earlier calls or made by ``describe``.

    Args:
        root: of the data set; together with the names, what the index is kept under.
        changed: for each episode's name, in order, a number that changes when the episode does.
        describe: makes one entry; it notes errors in the entry and doesn't raise.
        on_progress: called with the numbers of episodes looked at and to look at.
    """
    path = index_file(root)
    known = _load(path)
    missing = [name for name, stamp in changed.items() if known.get(name, (None, None))[0] != stamp]
    # What was wrong may have been mended without a trace in the folder's time; many of them would take too long.
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
        finally:  # what was looked at before an interruption is kept
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
    stamps = columns.pop("stamp")
    entries = [Entry(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    return {entry.name: (stamp, entry) for stamp, entry in zip(stamps, entries, strict=True)}


def _save(path: Path, known: dict[str, tuple[int, Entry]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("stamp", pa.int64()),
            ("name", pa.string()),
            ("rows", pa.int64()),
            ("duration", pa.float64()),
            ("period", pa.float64()),
            ("cameras", pa.list_(pa.string())),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("success", pa.bool_()),
            ("task", pa.string()),
            ("seed", pa.int64()),
            ("gripper", pa.string()),
            ("error", pa.string()),
        ],
        metadata={"version": str(VERSION)},
    )
    rows = [{"stamp": stamp, **asdict(entry)} for stamp, entry in known.values()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        os.close(handle)
    except OSError as error:  # the data can be read all the same, only not as fast next time
        log.warning("The index of the data set can't be kept in %s (%s).", path.parent, error)
        return
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema), partial)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
