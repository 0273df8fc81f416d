"""Packages that only some need."""

from __future__ import annotations

import importlib
from types import ModuleType

from vjepa_sim.envs.errors import UserError


def load_package(name: str, needed_by: str, remedy: str) -> ModuleType:
    """Import a module of a package that isn't installed everywhere.

    Args:
        name: of the module.
        needed_by: who needs it, as a sentence begins.
        remedy: how to get it, as a sentence.

    Raises:
        UserError: it can't be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{needed_by} needs the package {name.split('.')[0]} ({error}). {remedy}") from error
