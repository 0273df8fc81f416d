"""Plain folders of videos or images, for pretraining besides robot episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.clip import VideoClip
from vjepa_sim.data.image import open_image, to_rgb
from vjepa_sim.data.left_out import LeftOut
from vjepa_sim.data.video import decode, frame_size, is_counted, opened_video, upright
from vjepa_sim.data.walk import find_files
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
IMAGE_KINDS = ("JPEG", "PNG", "WEBP", "BMP")


class Folder(ABC):
    """A folder of files from which clips are drawn; unreadable ones are named, counted, and left out.

    Attributes:
        record: Description of the data for the model card, JSON-compatible.
        left_out: Unreadable files so far, and the reasons.
    """

    kind = "files"
    suffixes: tuple[str, ...] = ()

    def __init__(self, folder: Path, period: float, short_side: int | None = None):
        """
        Args:
            folder: Folder that is searched for files, with its subfolders.
            period: Seconds between two frames of a clip.
            short_side: Pixels of the shorter image side, to which larger images are reduced; None keeps their size.

        Raises:
            UserError: It is not a folder, or holds no such files.
        """
        self._period, self._short_side = period, short_side
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder.")
        self._files = find_files(folder, self.suffixes)
        if not self._files:
            raise UserError(f"No {self.kind} ({', '.join(self.suffixes)}) were found below {folder}.")
        self.left_out = LeftOut(
            str(folder), self.kind, len(self._files), remedy="names that begin with a dot are passed over"
        )
        self.record = {"sources": [f"{self.kind}:{folder}"], "files": len(self._files)}

    @property
    def identity(self) -> dict:
        """Values that must be the same for a resumed run, JSON-compatible."""
        return self.record

    def draw_clip(self, rng: np.random.Generator, frames: int, stride: int) -> VideoClip:
        """A random clip of a random file, its frames ``stride`` periods apart.

        Raises:
            UserError: More than a tenth of the files are unreadable.
        """
        while True:
            path = self._files[rng.integers(len(self._files))]
            where = rng.random()
            try:
                return VideoClip(frames=self._read(path, where, frames, stride))
            except Exception as error:  # decoders fail in many ways, always because of the file
                self.left_out.note(str(path), f"{path} can't be read ({error})")

    @abstractmethod
    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        """A clip uint8 [T, H, W, 3] that starts at a share ``where`` of the possible range; errors mean a bad file."""


class ImageFolder(Folder):
    """Images as clips without motion."""

    kind, suffixes = "images", IMAGE_SUFFIXES

    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        from PIL import Image

        with open_image(path, path.name, IMAGE_KINDS) as stored:
            image = to_rgb(stored, path.name)
        if self._short_side is not None and min(image.size) > self._short_side:
            scale = self._short_side / min(image.size)
            image = image.resize([round(scale * side) for side in image.size], Image.Resampling.BOX)
        return np.repeat(np.asarray(image)[None], frames, axis=0)


class VideoFolder(Folder):
    """Videos, sampled by their time stamps. In one that is shorter than a clip, the last frame is repeated."""

    kind, suffixes = "video", VIDEO_SUFFIXES

    def _read(self, path: Path, where: float, frames: int, stride: int) -> np.ndarray:
        import av
        from av.error import InvalidDataError

        step = stride * self._period
        with opened_video(path) as (container, stream):
            unit = stream.time_base
            if unit is None:
                raise ValueError("its video has no time base")
            if stream.duration is not None:
                length = float(stream.duration * unit)
            else:
                length = (container.duration or 0) / av.time_base
            begin = where * max(0.0, length - (frames - 1) * step)
            origin = stream.start_time or 0
            times = begin + step * np.arange(frames)
            container.seek(origin + int(begin / unit), stream=stream)  # to the keyframe before
            try:
                return self._clip(_timed(container, stream), times)
            except InvalidDataError:  # frames after some keyframes need those before it
                container.seek(origin, stream=stream)
                return self._clip(_timed(container, stream), times)

    def _clip(self, timed: Iterator[tuple[float, av.VideoFrame]], times: np.ndarray) -> np.ndarray:
        clip: list[np.ndarray] = []
        shown = None
        for time, frame in timed:
            # A frame is shown until the next one.
            while shown is not None and len(clip) < len(times) and times[len(clip)] < time - 1e-6:
                clip.append(self._to_array(shown))
            shown = frame
            if len(clip) == len(times):
                break
        if shown is None:
            raise ValueError("it has no frames")
        clip += [self._to_array(shown)] * (len(times) - len(clip))
        return np.stack(clip)

    def _to_array(self, frame: av.VideoFrame) -> np.ndarray:
        height, width = frame_size(frame)
        scale = 1.0 if self._short_side is None else min(1.0, self._short_side / min(height, width))
        return upright(frame, (round(scale * height), round(scale * width)))


def _timed(container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames and their times since the start of the video, seconds."""
    unit, origin = stream.time_base, stream.start_time or 0
    rate = stream.average_rate if is_counted(container, stream) else None
    first = None
    for count, frame in enumerate(decode(container, stream)):
        if frame.pts is None or unit is None:
            raise ValueError("a frame has no time stamp")
        time = float((frame.pts - origin) * unit)
        first = time if first is None else first
        yield (time if rate is None else first + count / float(rate)), frame
