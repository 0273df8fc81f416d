"""One thread at a time."""

from __future__ import annotations

import threading

from vjepa_sim.envs.errors import UserError


class Exclusive:
    """A context that one thread can be in; a second one is refused and does not wait. Copies are free."""

    def __init__(self, what: str):
        """
        Args:
            what: what is used, such as ``environment``, for the message.
        """
        self._what = what
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise UserError(
                f"This {self._what} is in use by another thread. Let one thread at a time use it, or make one for each."
            )

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple:
        return Exclusive, (self._what,)
