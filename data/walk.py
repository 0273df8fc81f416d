"""Which files below a folder are data: one rule for every format and for plain folders of videos and images.

- Names that begin with a dot are no data (macOS's ``._*``, ``.DS_Store``, ``.git``), nor are the names of unfinished
  downloads and backups (:data:`UNFINISHED`), and folders that systems make (:data:`SYSTEM_FOLDERS`).
- Links are followed, without loops; a file or folder that is reached twice, also as a hard link, is taken once, by its
  own path rather than by a link's.
- Only regular files are data; broken links, pipes and devices are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from vjepa_sim.envs.errors import UserError

UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".incomplete", ".aria2", "~")
SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information"}


def is_data(name: str) -> bool:
    """Whether a file or folder of this name can be data."""
    return not (name.startswith(".") or name.lower().endswith(UNFINISHED) or name in SYSTEM_FOLDERS)


class Folder:
    """A folder of a search, listed when needed.

    Attributes:
        path: Path of the folder.
        inside: Path below the folder that is searched, with slashes; "" for that folder itself.
    """

    def __init__(self, path: Path, inside: str = ""):
        self.path, self.inside = path, inside

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @cached_property
    def files(self) -> list[os.DirEntry[str]]:
        """Files that can be data, by name.

        Raises:
            UserError: The folder can't be listed.
        """
        return [item for item in self._items if _is(item, os.DirEntry.is_file)]

    @cached_property
    def folders(self) -> list[os.DirEntry[str]]:
        """Folders that can hold data, by name.

        Raises:
            UserError: The folder can't be listed.
        """
        return [item for item in self._items if _is(item, os.DirEntry.is_dir)]

    @cached_property
    def _items(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path) as items:
                return sorted((item for item in items if is_data(item.name)), key=lambda item: item.name)
        except OSError as error:
            raise UserError(f"{self.path}: the folder can't be listed ({error.strerror}).") from error


def walk(root: Path, is_leaf: Callable[[Folder], bool] = lambda folder: False) -> Iterator[Folder]:
    """A folder and the folders below it, those behind links last, each once.

    Args:
        root: Folder that is searched; its own name isn't judged.
        is_leaf: Whether nothing below a folder is to be searched; such a folder is yielded, too.

    Raises:
        UserError: A folder can't be listed.
    """
    seen: set[tuple[int, int]] = set()
    waiting, behind_links = [Folder(Path(root))], []
    while waiting or behind_links:
        folder = waiting.pop() if waiting else behind_links.pop(0)
        if not _is_new(folder.path, seen):
            continue
        yield folder
        if is_leaf(folder):
            continue
        below = [(item, f"{folder.inside}/{item.name}" if folder.inside else item.name) for item in folder.folders]
        waiting += [Folder(Path(item.path), inside) for item, inside in reversed(below) if not item.is_symlink()]
        behind_links += [Folder(Path(item.path), inside) for item, inside in below if item.is_symlink()]


def find_files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files at and below a folder by the ends of their names in lower case, in the order of their paths, each once.

    Raises:
        UserError: A folder can't be listed.
    """
    found = [item for folder in walk(root) for item in folder.files if item.name.lower().endswith(suffixes)]
    seen: set[tuple[int, int]] = set()
    own_first = sorted(found, key=lambda item: (item.is_symlink(), item.path))
    return sorted(Path(item.path) for item in own_first if _is_new(Path(item.path), seen))


def _is_new(path: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether the file or folder at a path is there and hasn't been seen yet; now it has."""
    try:
        status = os.stat(path)
    except OSError:  # removed meanwhile, or not allowed
        return False
    identity = (status.st_dev, status.st_ino)
    new = identity not in seen
    seen.add(identity)
    return new


def _is(item: os.DirEntry[str], kind: Callable[[os.DirEntry[str]], bool]) -> bool:
    try:
        return kind(item)
    except OSError:  # a link to itself
        return False
