"""Plain folders of videos or pictures: what stage one can learn from besides robot episodes."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from envs.errors import UserError

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
PERIOD = 0.25  # s between two frames of a clip: V-JEPA 2's 4 frames a second
MAX_BAD_SHARE = 0.1  # of a folder's files that may be unreadable
log = logging.getLogger(__name__)


class Folder(ABC):
    """Files of some kinds, from which clips are drawn; unreadable ones are named, counted, and left out.

    Attributes:
        record: what the data were, for the card.
        bad: files that couldn't be read so far.
    """

    kind = "files"
    suffixes: tuple[str, ...] = ()

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder.")
        self._files = sorted(
            Path(root) / name
            for root, _, names in os.walk(folder)
            for name in names
            if name.lower().endswith(self.suffixes)
        )
        if not self._files:
            raise UserError(f"No {self.kind} ({', '.join(self.suffixes)}) were found below {folder}.")
        self.bad: set[Path] = set()
        self.record = {"sources": [f"{self.kind}:{folder}"], "files": len(self._files)}

    @property
    def identity(self) -> dict:
        """What a resumed run compares to know that the data are still the same, JSON-compatible."""
        return self.record

    def draw_clip(self, rng: np.random.Generator, frames: int, stride: int) -> tuple[np.ndarray, None]:
        """A random clip of a random file: uint8 [frames, H, W, 3], ``stride`` periods apart, and no states.

        Raises:
            UserError: more than a tenth of the files are unreadable.
        """
        while True:
            path = self._files[rng.integers(len(self._files))]
            where = rng.random()
            try:
                return self._read(path, where, frames, stride), None
            except Exception as error:  # decoders fail in many ways; the file is to blame in all of them
                if path not in self.bad:
                    self.bad.add(path)
                    log.warning("%s can't be read and is left out (%s)", path, error)
                if len(self.bad) > max(1, MAX_BAD_SHARE * len(self._files)) or len(self.bad) == len(self._files):
                    raise UserError(
                        f"{len(self.bad)} of {len(self._files)} {self.kind} can't be read, the last was {path} ({error}). "
                        f"At most {MAX_BAD_SHARE:.0%} may be bad: restore or remove them."
                    ) from error

    @abstractmethod
    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        """A clip that begins at a share ``where`` of what a file has room for; any exception means a bad file."""


class ImageFolder(Folder):
    """Pictures as clips that stand still."""

    kind, suffixes = "images", IMAGE_SUFFIXES

    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        from PIL import Image

        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
        return np.repeat(rgb[None], frames, axis=0)


class VideoFolder(Folder):
    """Videos, read by their own clock. One that is shorter than a clip keeps showing its last frame."""

    kind, suffixes = "video", VIDEO_SUFFIXES

    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        import av

        step = stride * PERIOD
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # clips are decoded side by side instead
            if stream.duration is not None:
                length = float(stream.duration * stream.time_base)
            else:
                length = (container.duration or 0) / av.time_base
            begin = where * max(0.0, length - (frames - 1) * step)
            origin = stream.start_time or 0
            container.seek(origin + int(begin / stream.time_base), stream=stream)  # to the keyframe before
            clip: list[np.ndarray] = []
            shown = None
            for frame in container.decode(stream):
                time = float((frame.pts - origin) * stream.time_base)
                # A frame is seen until the next one comes.
                while shown is not None and len(clip) < frames and begin + len(clip) * step < time - 1e-6:
                    clip.append(shown.to_ndarray(format="rgb24"))
                shown = frame
                if len(clip) == frames:
                    break
            if shown is None:
                raise ValueError("it has no frames")
            clip += [shown.to_ndarray(format="rgb24")] * (frames - len(clip))
        return np.stack(clip)
