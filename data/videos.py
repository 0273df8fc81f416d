"""Plain folders of videos or pictures: what stage one can learn from besides robot episodes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from vjepa_sim.data.clip import VideoClip
from vjepa_sim.data.left_out import LeftOut
from vjepa_sim.envs.errors import UserError

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


class Folder(ABC):
    """Files of some kinds, from which clips are drawn; unreadable ones are named, counted, and left out.

    Attributes:
        record: what the data were, for the card.
        left_out: files that couldn't be read so far.
    """

    kind = "files"
    suffixes: tuple[str, ...] = ()

    def __init__(self, folder: Path, period: float, short_side: int | None = None):
        """
        Args:
            folder: of the files, with what lies below it.
            period: seconds between two frames of a clip.
            short_side: larger pictures are reduced to this height or width, whichever is less, in pixels.
        """
        self._period, self._short_side = period, short_side
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
        self.left_out = LeftOut(str(folder), self.kind, len(self._files))
        self.record = {"sources": [f"{self.kind}:{folder}"], "files": len(self._files)}

    @property
    def identity(self) -> dict:
        """What a resumed run compares to know that the data are still the same, JSON-compatible."""
        return self.record

    def draw_clip(self, rng: np.random.Generator, frames: int, stride: int) -> VideoClip:
        """A random clip of a random file, its frames ``stride`` periods apart, without states.

        Raises:
            UserError: more than a tenth of the files are unreadable.
        """
        while True:
            path = self._files[rng.integers(len(self._files))]
            where = rng.random()
            try:
                return VideoClip(frames=self._read(path, where, frames, stride))
            except Exception as error:  # decoders fail in many ways; the file is to blame in all of them
                self.left_out.note(str(path), f"{path} can't be read ({error})")

    @abstractmethod
    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        """A clip that begins at a share ``where`` of what a file has room for; any exception means a bad file."""


class ImageFolder(Folder):
    """Pictures as clips that stand still."""

    kind, suffixes = "images", IMAGE_SUFFIXES

    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        from PIL import Image

        with Image.open(path) as image:
            if self._short_side is not None and min(image.size) > self._short_side:
                scale = self._short_side / min(image.size)
                image = image.convert("RGB").resize([round(scale * side) for side in image.size], Image.Resampling.BOX)
            rgb = np.asarray(image.convert("RGB"))
        return np.repeat(rgb[None], frames, axis=0)


class VideoFolder(Folder):
    """Videos, read by their own clock. One that is shorter than a clip keeps showing its last frame."""

    kind, suffixes = "video", VIDEO_SUFFIXES

    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        import av

        step = stride * self._period
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
                    clip.append(self._to_array(shown))
                shown = frame
                if len(clip) == frames:
                    break
            if shown is None:
                raise ValueError("it has no frames")
            clip += [self._to_array(shown)] * (frames - len(clip))
        return np.stack(clip)

    def _to_array(self, frame: object) -> np.ndarray:
        side = min(frame.height, frame.width)
        if self._short_side is None or side <= self._short_side:
            return frame.to_ndarray(format="rgb24")
        height, width = (round(each * self._short_side / side) for each in (frame.height, frame.width))
        return frame.reformat(width, height, format="rgb24", interpolation="AREA").to_ndarray()
