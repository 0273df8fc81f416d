"""Provenance of a result, kept in every folder that is written."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vjepa_sim.envs.cameras.opencv import without_password
from vjepa_sim.envs.plugins import load_plugins

PACKAGES = ("vjepa-sim", "torch", "mujoco", "gymnasium", "robosuite", "numpy", "h5py", "av")


def provenance() -> dict[str, Any]:
    """Versions, git commit, command line without passwords, and machine, JSON-compatible."""
    return {
        "command": [without_password(argument) for argument in sys.argv],
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": {name: package_version(name) for name in PACKAGES},
        "plugins": load_plugins(),
    }


def package_version(name: str) -> str | None:
    """The installed version, or None if the package is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Git commit of this checkout, with "-dirty" if it has changes; None for an installed package."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():  # a package installed below someone else's repository isn't part of it
        return None
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty"],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
