"""What a format is: something that recognises a data set, reads its episodes, and perhaps writes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from vjepa_sim.data.episode import Episode
from vjepa_sim.envs.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of an episode without reading it.

    Attributes:
        name: what messages call it; a folder relative to the data set's, where it has one.
        rows: how many.
        duration: seconds from the first row to the last.
        period: median seconds between two rows.
        cameras: roles of the cameras whose video is there (``ext1``, ``ext2``, ``wrist``).
        height, width: pixels of the first of them, 0 if unknown.
        success: or None if nobody said.
        task: in words.
        seed: of a simulated scene.
        gripper: which, or "" if unknown.
        error: why it can't be read, or "".
    """

    name: str
    rows: int = 0
    duration: float = 0.0
    period: float = 0.0
    cameras: tuple[str, ...] = ()
    height: int = 0
    width: int = 0
    success: bool | None = None
    task: str = ""
    seed: int | None = None
    gripper: str = ""
    error: str = ""


class Reader(ABC):
    """Episodes of one data set, in a fixed order.

    Attributes:
        format: name of the format.
        root: folder or file of the data set.
        entries: one per episode, readable or not.
    """

    format: ClassVar[str]

    def __init__(self, root: Path, entries: list[Entry]):
        if not entries:
            raise UserError(f"{root} holds no episodes.")
        self.root = root
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    @abstractmethod
    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """An episode by its number; frames are decoded when they are indexed.

        Args:
            number: its place in :attr:`entries`.
            views: only these cameras, see :meth:`.Episode.view`; None means all.
            extras: also what the format holds besides.

        Raises:
            UserError: a file is missing or damaged, a camera is missing, or contents don't fit together; the message
                names the episode.
        """

    def where(self, number: int) -> str:
        """How messages name an episode."""
        return f"{self.root}: {self.entries[number].name}"


class Writer(ABC):
    """Appends episodes to a new data set; a context manager. What is there after an interruption is readable."""

    format: ClassVar[str]

    @abstractmethod
    def write(self, episode: Episode) -> None:
        """Append an episode.

        Raises:
            UserError: it doesn't fit the data set or the format.
        """

    def close(self) -> None:  # noqa: B027  (most formats have nothing to finish)
        """Finish the data set."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Report nothing."""
