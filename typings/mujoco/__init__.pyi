"""Type stub for MuJoCo's compiled bindings, which come without one: every name exists, of type ``Any``."""

from typing import Any

def __getattr__(name: str) -> Any: ...
