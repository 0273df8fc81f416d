"""What a data set lacks because it couldn't be read: named, counted, and too much of it an error."""

from __future__ import annotations

import logging
import threading

from vjepa_sim.envs.errors import UserError

MAX_SHARE = 0.1  # that may be left out, and always one
log = logging.getLogger(__name__)


class LeftOut:
    """Parts of a data set that can't be used, and why.

    Attributes:
        reasons: by name.
    """

    def __init__(self, where: str, what: str, total: int):
        """
        Args:
            where: name of the data set.
            what: its parts are called, such as ``episodes``.
            total: of its parts.
        """
        self.reasons: dict[str, str] = {}
        self._where, self._what, self._total = where, what, total
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        """For worker processes that are spawned: locks don't travel."""
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = {**state, "_lock": threading.Lock()}

    def note(self, name: str, reason: object) -> None:
        """Leave a part out; the first time it is said.

        Raises:
            UserError: that makes too many.
        """
        with self._lock:
            new = name not in self.reasons
            self.reasons[name] = str(reason)
        if new:
            log.warning("Left out of %s: %s", self._where, reason)
        self.check()

    def update(self, reasons: dict[str, str]) -> None:
        """Leave out what another process, or an earlier run, found.

        Raises:
            UserError: that makes too many.
        """
        with self._lock:
            self.reasons.update(reasons)
        self.check()

    def check(self) -> None:
        """Raise a :class:`UserError` if too much, or everything, is left out."""
        count = len(self.reasons)
        if count > max(1, MAX_SHARE * self._total) or count >= self._total:
            first = "; ".join(list(self.reasons.values())[:3])
            raise UserError(
                f"{count} of {self._total} {self._what} in {self._where} can't be used, at most {MAX_SHARE:.0%} may be "
                f"bad. Restore or remove them; `vjepa-sim lint` lists and moves episodes. Such as: {first}"
            )
