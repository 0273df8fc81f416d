"""Frames to MP4 and back, through PyAV: whole, or only the frames that are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from envs.errors import UserError

FAR = 16  # frames: a wanted frame farther ahead than this, with a keyframe on the way, is sought instead of decoded to
MAX_PIXELS = 64_000_000  # of one frame; a header that claims more is damaged


def write_video(path: Path, frames: np.ndarray | Video, rate: float, quality: int = 14, group: int = 8) -> None:
    """Write uint8 [T, H, W, 3] as H.264, whole or not at all.

    Args:
        path: a new ``.mp4`` file.
        frames: H and W even, or one row or column of padding is added.
        rate: frames per second, written into the header.
        quality: x264's constant rate factor; 14 leaves 128-pixel images nearly untouched.
        group: frames from one keyframe to the next; short groups make any frame cheap to reach.
    """
    partial = path.with_name(f".partial-{path.name}")
    with VideoWriter(partial, rate, quality, group) as writer:
        for start in range(0, len(frames), 64):
            writer.add(frames[start : start + 64])
    os.replace(partial, path)


class VideoWriter:
    """An H.264 file that grows by frames of one size; a context manager.

    Attributes:
        count: frames so far.
    """

    def __init__(self, path: Path, rate: float, quality: int = 14, group: int = 8):
        import av

        self.count = 0
        self._rate = Fraction(rate).limit_denominator(1000)
        # No B-frames: pictures lie in the file in the order in which they are seen.
        self._options = {"crf": str(quality), "preset": "veryfast", "g": str(group), "bf": "0"}
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = None

    def add(self, frames: np.ndarray) -> None:
        """Append uint8 [N, H, W, 3]."""
        import av

        _, height, width, _ = frames.shape
        frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate)
            self._stream.height, self._stream.width = frames.shape[1:3]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.thread_count = 1
            self._stream.options = self._options
        if frames.shape[1:3] != (self._stream.height, self._stream.width):
            raise UserError(
                f"Frames of {width} × {height} pixels can't follow frames of {self._stream.width} × {self._stream.height}."
            )
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            self._container.mux(self._stream.encode(picture))
            self.count += 1

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()


def read_video(path: Path) -> np.ndarray:
    """All frames of a video, uint8 [T, H, W, 3].

    Raises:
        UserError: the file is missing or can't be decoded.
    """
    return Video(path)[:]


class Video:
    """Frames of a file, decoded when they are indexed: ``video[3]``, ``video[[0, 4, 8]]``, ``video[10:20]``.

    Frames are found by their number, never by the header's frame rate. It holds no open file.

    Attributes:
        path: of the file.
        shape: (T, H, W, 3) of what indexing gives.
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        path: Path,
        first: int = 0,
        count: int | None = None,
        short_side: int | None = None,
        left_half: bool = False,
    ):
        """
        Args:
            path: of the file.
            first: number of the file's frame that is frame 0 here.
            count: of frames, or None for all that are left.
            short_side: larger pictures are reduced to this height or width, whichever is less, in pixels.
            left_half: of a stereo pair side by side.

        Raises:
            UserError: the file is missing, can't be read, or has fewer frames.
        """
        self.path = path
        self._first, self._left_half = first, left_half
        table = _frame_table(path, *_identity(path))
        available = len(table.stamps) - first
        count = available if count is None else count
        if available < count or count < 1:
            raise UserError(f"{path}: {max(0, available)} frames from frame {first} on, and {count} were expected.")
        width = table.width // 2 if left_half else table.width
        scale = 1.0 if short_side is None else min(1.0, short_side / min(table.height, width))
        self._short_side = short_side
        self._table = table
        self._scaled = (max(1, round(table.height * scale)), max(1, round(table.width * scale)))
        self.shape = (count, self._scaled[0], max(1, round(width * scale)), 3)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: object) -> np.ndarray:
        """Frames by number, slice, or array of numbers, as NumPy would give them.

        Raises:
            UserError: a frame can't be decoded.
            IndexError: there is no such frame.
        """
        numbers = np.arange(len(self))[index]
        wanted, place = np.unique(np.atleast_1d(numbers), return_inverse=True)
        frames = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        for slot, frame in enumerate(self._decode(wanted + self._first)):
            frames[slot] = frame
        return frames[place.reshape(np.shape(numbers))]

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def reduced(self, short_side: int | None) -> Video:
        """The same frames, with the shorter side reduced to so many pixels."""
        return Video(self.path, self._first, len(self), short_side, self._left_half)

    def cut(self, count: int) -> Video:
        """The first ``count`` frames."""
        return Video(self.path, self._first, count, self._short_side, self._left_half)

    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """The file's frames with these numbers (sorted, each once), one after another."""
        import av

        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1  # episodes are decoded side by side instead
                frames, position = container.decode(stream), 0
                for number in wanted:
                    key = self._table.key_before(number)
                    if key > position + FAR or (key > position and number > position + FAR) or number < position:
                        container.seek(int(self._table.stamps[key]), stream=stream)
                        frames = container.decode(stream)
                    yield self._to_array(self._find(frames, number))
                    position = number + 1
        except (OSError, av.error.FFmpegError, ValueError, IndexError, MemoryError) as error:
            raise UserError(f"{self.path}: the video can't be decoded ({error}). Is it complete?") from error

    def _find(self, frames: Iterator, number: int) -> object:
        """Decode on to the frame with this number."""
        for frame in frames:
            if frame.pts == self._table.stamps[number]:
                return frame
            if frame.pts is not None and frame.pts > self._table.stamps[number]:
                break
        raise ValueError(f"frame {number} is missing")

    def _to_array(self, frame: object) -> np.ndarray:
        height, width = self._scaled
        if (frame.height, frame.width) != (self._table.height, self._table.width):
            raise ValueError(f"a frame has {frame.width} × {frame.height} pixels, the header says otherwise")
        if (height, width) == (frame.height, frame.width):
            rgb = frame.to_ndarray(format="rgb24")
        else:
            rgb = frame.reformat(width, height, format="rgb24", interpolation="AREA").to_ndarray()
        return rgb[:, : self.shape[2]]


@dataclass(frozen=True)
class _FrameTable:
    """Where a file's frames are: time stamps in the stream's unit, and which are keyframes, in the order seen."""

    stamps: np.ndarray
    keys: np.ndarray
    height: int
    width: int

    def key_before(self, number: int) -> int:
        """Number of the last keyframe that is not after a frame."""
        return int(self.keys[max(0, np.searchsorted(self.keys, number, side="right") - 1)])


def _identity(path: Path) -> tuple[int, int]:
    """Changes when a file does."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f"{path}: the video can't be read ({error.strerror}).") from error
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=512)
def _frame_table(path: Path, size: int, changed: int) -> _FrameTable:
    """Read a file's packets without decoding them."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
            height, width = stream.height, stream.width
    except (OSError, av.error.FFmpegError, IndexError, ValueError, MemoryError) as error:
        raise UserError(f"{path}: the video can't be read ({error}). Is it complete?") from error
    if not packets:
        raise UserError(f"{path}: the video has no frames.")
    if any(stamp is None for stamp, _ in packets) or len({stamp for stamp, _ in packets}) < len(packets):
        raise UserError(f"{path}: frames of the video have no time stamps of their own; it is damaged.")
    if not 0 < height * width <= MAX_PIXELS:
        raise UserError(f"{path}: a video of {width} × {height} pixels; it is damaged.")
    packets.sort()
    keys = np.array([number for number, (_, key) in enumerate(packets) if key] or [0])
    return _FrameTable(np.array([stamp for stamp, _ in packets]), keys, height, width)
