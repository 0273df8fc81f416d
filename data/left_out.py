"""Unreadable parts of a data set: named and counted; too many are an error."""

from __future__ import annotations

import logging
import threading

from vjepa_sim.envs.errors import UserError, printable

MAX_SHARE = 0.1  # largest share that may be left out; one part always may
log = logging.getLogger(__name__)


class LeftOut:
    """Parts of a data set that can't be used, and why.

    Attributes:
        reasons: Reasons by name of the part.
    """

    def __init__(
        self, where: str, what: str, total: int, *, remedy: str = "`vjepa-sim lint` lists and moves such episodes"
    ):
        """
        Args:
            where: Name of the data set.
            what: Word for its parts, such as ``episodes``.
            total: Number of parts.
            remedy: What to do, besides restoring or removing them.
        """
        self.reasons: dict[str, str] = {}
        self._where, self._what, self._total, self._remedy = where, what, total, remedy
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        """State without the lock, which can't be pickled for spawned worker processes."""
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = {**state, "_lock": threading.Lock()}

    def note(self, name: str, reason: object) -> None:
        """Leave a part out, with a warning the first time.

        Raises:
            UserError: Too many parts are left out.
        """
        with self._lock:
            new = name not in self.reasons
            self.reasons[name] = str(reason)
        if new:
            log.warning("Left out of %s: %s", printable(self._where), printable(str(reason)))
        self.check()

    def update(self, reasons: dict[str, str]) -> None:
        """Leave out parts that another process or an earlier run found.

        Raises:
            UserError: Too many parts are left out.
        """
        with self._lock:
            self.reasons.update(reasons)
        self.check()

    def check(self) -> None:
        """Check how much is left out.

        Raises:
            UserError: Too many parts, or all, are left out.
        """
        count = len(self.reasons)
        if count > max(1, MAX_SHARE * self._total) or count >= self._total:
            first = "; ".join(list(self.reasons.values())[:3])
            raise UserError(
                f"{count} of {self._total} {self._what} in {self._where} can't be used; at most {MAX_SHARE:.0%} may be "
                f"bad. Restore or remove them; {self._remedy}. First ones: {first}"
            )
