"""Output folders: one writer at a time, one configuration, no foreign files touched."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vjepa_sim.data.files import write_json
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError

LOCK_FILE = ".lock"


@contextmanager
def claimed(
    out: Path,
    config_file: str,
    config: dict[str, Any],
    *,
    may_differ: tuple[str, ...] = (),
    assumed: dict[str, Any] | None = None,
) -> Iterator[None]:
    """Lock an output folder while something is written into it.

    A new folder gets ``config_file`` with the configuration and its provenance; an existing one
    must hold an equal configuration, and is continued.

    Args:
        out: A new or empty folder, or one of an earlier run.
        config_file: Name of the JSON file with the folder's configuration.
        config: Configuration, JSON-compatible.
        may_differ: Keys in which an earlier configuration may differ; the file then takes the new values.
        assumed: Values of keys that an earlier configuration didn't have yet.

    Raises:
        UserError: The folder is a file, holds something else or other settings, or another process writes into it.
    """
    check_output(out, config_file)
    path = out / config_file
    config = json.loads(json.dumps(config))
    out.mkdir(parents=True, exist_ok=True)
    # The lock file stays: were it removed, a process that had opened it before and one that makes it anew would both
    # hold a lock.
    with open(out / LOCK_FILE, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"Another process is writing into {out}. Wait for it, or give another --out.") from None
        theirs = _read(path) if path.exists() else None
        if theirs is not None:
            _compare(out, {**(assumed or {}), **theirs["config"]}, config, may_differ)
        if theirs is None or theirs["config"] != config:
            write_json(path, {"config": config, "provenance": provenance() if theirs is None else theirs["provenance"]})
        yield


def check_output(out: Path, config_file: str) -> None:
    """Check that a folder can be claimed, whatever the configuration; for use before long preparations.

    Raises:
        UserError: It is a file, or holds something else.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; --out must be a folder.")
    strange = out.exists() and any(each.name != LOCK_FILE for each in out.iterdir())
    if strange and not (out / config_file).exists():
        raise UserError(f"{out} is not empty and holds no {config_file}. Give a new folder as --out.")


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Settings by dotted name; a list of plain values is one setting.

    Args:
        value: JSON-compatible value.
        name: Name of ``value``, a prefix of the names in it.
    """
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return {name: value}
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inside:
        return {name: value}
    return {key: leaf for part, each in inside for key, leaf in leaves(each, f"{name}.{part}".lstrip(".")).items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        return {"config": dict(content["config"]), "provenance": content["provenance"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}). Give another --out, or delete this folder.") from error


def _compare(out: Path, theirs: dict[str, Any], ours: dict[str, Any], may_differ: tuple[str, ...]) -> None:
    before = leaves({key: theirs.get(key) for key in ours if key not in may_differ})
    now = leaves({key: ours[key] for key in ours if key not in may_differ})
    different = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if different:
        lines = "; ".join(f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in different)
        raise UserError(f"{out} was made with other settings: {lines}. Use the same ones, or another --out.")
