"""Folder of files that can be rebuilt."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vjepa-sim`` or ``~/.cache/vjepa-sim``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vjepa-sim"
