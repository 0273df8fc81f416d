"""Base classes of formats: reader, writer, and the index entry of an episode."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import numpy as np

from vjepa_sim.data.episode import Episode
from vjepa_sim.envs.errors import UserError, naming_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Index entry: data on an episode that are available without reading it.

    Attributes:
        name: Name in messages; the folder relative to the data set's, if it has one.
        rows: Number of rows.
        duration: Seconds from the first row to the last.
        period: Median seconds between two rows.
        cameras: Roles of the cameras with a video (``ext1``, ``ext2``, ``wrist``).
        height, width: Image size of the first camera in pixels, 0 if unknown.
        success: Whether the task was achieved; None if unknown.
        task: Task description in words.
        seed: Seed of a simulated scene, or None.
        arm, gripper: Names of arm and gripper, or "" if unknown.
        digest: See :func:`digest_of`; "" if unknown, and where :meth:`Reader.digests` computes it.
        remark: What was inferred about it, or "".
        error: Why it can't be read, or "".
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
    arm: str = ""
    gripper: str = ""
    digest: str = ""
    remark: str = ""
    error: str = ""

    @classmethod
    def of(cls, name: str, episode: Episode) -> Entry:
        """The entry of an episode that has been read."""
        _, height, width, _ = episode.cameras[0].frames.shape
        return cls(
            name=name,
            rows=len(episode),
            duration=float(episode.stamps[-1] - episode.stamps[0]),
            period=episode.period,
            cameras=tuple(camera.role for camera in episode.cameras),
            height=height,
            width=width,
            success=episode.success,
            task=episode.task,
            seed=episode.seed,
            arm=str(episode.details.get("arm", "")),
            gripper=str(episode.details.get("gripper", "")),
            digest=digest_of(episode.states),
        )


def digest_of(states: np.ndarray) -> str:
    """Digests of an episode's states [T, 7], and of these without the last row, with a blank between them.

    They are of 32-bit numbers, which all formats share. Copies of a recording have one in common: its last row is lost
    where a video lacks the last frame.
    """
    rows = np.ascontiguousarray(states, np.float32)
    return " ".join(hashlib.blake2b(part.tobytes(), digest_size=16).hexdigest() for part in (rows, rows[:-1]))


def _named(read: Callable[..., Episode]) -> Callable[..., Episode]:
    @wraps(read)
    def named(self: Reader, number: int, *arguments: Any, **options: Any) -> Episode:
        with naming_part(f"Format {self.format!r}", read):
            return read(self, number, *arguments, **options)

    return named


class Reader(ABC):
    """Episodes of one data set, in a fixed order.

    Attributes:
        format: Name of the format.
        root: Folder or file of the data set.
        entries: One entry per episode, readable or not.
    """

    format: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Name a plugin's reader in its errors."""
        super().__init_subclass__()
        if "read" in vars(cls):
            cls.read = _named(cls.read)

    def __init__(self, root: Path, entries: list[Entry]):
        if not entries:
            raise UserError(f"{root} holds no episodes.")
        self.root = root
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def digests(self) -> list[str]:
        """Digests of each episode's states, see :func:`digest_of`; "" if unknown. May read all states."""
        return [entry.digest for entry in self.entries]

    @abstractmethod
    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """Read an episode; frames are decoded when indexed.

        Args:
            number: Index in :attr:`entries`.
            views: Cameras to return, see :meth:`.Episode.view`; None means all.
            extras: Also read the format's further arrays, see :class:`.Episode`.

        Raises:
            UserError: A file is missing or damaged, a camera is missing, or contents are inconsistent; the message
                names the episode.
        """

    def where(self, number: int) -> str:
        """Name of an episode in messages."""
        return f"{self.root}: {self.entries[number].name}"


class Writer(ABC):
    """Appends episodes to a new data set; a context manager. After an interruption the part written is readable.

    Attributes:
        format: Name of the format.
        alike: Whether all episodes of a data set must have the same cameras and arrays, see :meth:`prepare`.
    """

    format: ClassVar[str]
    alike: ClassVar[bool] = False

    def prepare(self, episodes: Iterable[Episode]) -> list[str]:
        """Look at all episodes that will be written, before the first of them, if they must be alike.

        Args:
            episodes: The readable episodes, made one by one.

        Returns:
            Sentences on what is left out of all episodes, since some lack it.
        """
        return []

    @abstractmethod
    def write(self, episode: Episode) -> None:
        """Append an episode.

        Raises:
            UserError: It doesn't fit the data set or the format.
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
    """Ignore progress."""
