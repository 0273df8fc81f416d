"""Optional packages."""

from __future__ import annotations

import importlib
from types import ModuleType

from vjepa_sim.envs.errors import UserError


def load_package(name: str, needed_by: str, remedy: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        name: dotted name of the module.
        needed_by: what needs it, as the beginning of a sentence.
        remedy: how to install it, as a sentence.

    Raises:
        UserError: it can't be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{needed_by} needs the package {name.split('.')[0]} ({error}). {remedy}") from error
