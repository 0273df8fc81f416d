"""Files in the user's cache: they can be rebuilt, and everything works without them."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vjepa-sim`` or ``~/.cache/vjepa-sim``."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if chosen.is_absolute():  # others are ignored, as the XDG specification requires
        return chosen / "vjepa-sim"
    try:
        return Path.home() / ".cache" / "vjepa-sim"
    except RuntimeError:  # a user without a home, as in a container: nothing can be read from there nor kept
        return Path(os.devnull) / "vjepa-sim"


def load(path: Path) -> bytes | None:
    """Content of a file that :func:`save` has written; None if there is none, or it can't be read or is damaged."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    content = stored[DIGEST:]
    return content if hashlib.sha256(content).digest() == stored[:DIGEST] else None


def save(path: Path, content: bytes) -> None:
    """Write a file for :func:`load`, whole or not at all, also where several processes do it at once.

    Its permissions are those of the umask, so that users can share a cache.

    Raises:
        OSError: it can't be written, or the disk is full; an older file is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")
    try:
        with open(partial, "xb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a full disk of the network is noticed only now
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
