"""Frames to MP4 and back, through PyAV: whole, or only the frames that are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.envs.errors import UserError

FAR = 16  # frames: a wanted frame farther ahead than this, with a keyframe on the way, is sought instead of decoded to
# By default FFmpeg paints over what it can't decode, and says nothing.
STRICT = {"err_detect": "explode"}
# What PyAV raises besides its own errors when a file is damaged; AttributeError where a stream has lost its codec.
DAMAGED = (OSError, ValueError, IndexError, TypeError, AttributeError, OverflowError, MemoryError)


def write_video(path: Path, frames: np.ndarray | Video, *, rate: float, quality: int = 14, group: int = 8) -> None:
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
                f"Frames of {width} × {height} pixels can't follow frames of {self._stream.width} × "
                f"{self._stream.height}."
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


class Video(LazyFrames):
    """Frames of a file. They are found by their number, never by the header's frame rate. It holds no open file.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, first: int = 0, count: int | None = None, left_half: bool = False):
        """
        Args:
            path: of the file.
            first: number of the file's frame that is frame 0 here.
            count: of frames, or None for all that are left.
            left_half: of a stereo pair side by side.

        Raises:
            UserError: the file is missing, can't be read, or has fewer frames.
        """
        self._table = _frame_table(path, *_identity(path))
        available = len(self._table.stamps) - first
        count = available if count is None else count
        if available < count or count < 1:
            raise UserError(f"{path}: {max(0, available)} frames from frame {first} on, and {count} were expected.")
        super().__init__(str(path), count, self._table.height, self._table.width // (2 if left_half else 1))
        self.path = path
        self._first = first

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        import av

        wanted = wanted + self._first
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1  # episodes are decoded side by side instead
                stream.codec_context.options = STRICT
                frames, position = container.decode(stream), 0
                for number in wanted:
                    key = self._table.key_before(number)
                    if number < position or (key > position and number > position + FAR):
                        container.seek(int(self._table.stamps[key]), stream=stream)
                        frames = container.decode(stream)
                    yield self._to_array(self._find(frames, number))
                    position = number + 1
        except (av.error.FFmpegError, *DAMAGED) as error:
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
        """The decoder's scaler reduces a picture at a tenth of the cost of doing it afterwards."""
        if (frame.height, frame.width) != (self._table.height, self._table.width):
            raise ValueError(f"a frame has {frame.width} × {frame.height} pixels, the header says otherwise")
        _, height, width, _ = self.shape
        if (height, width) == self._stored:
            return frame.to_ndarray(format="rgb24")[:, :width]
        whole = round(width * frame.width / self._stored[1])
        rgb = frame.reformat(whole, height, format="rgb24", interpolation="AREA").to_ndarray()
        return rgb[:, :width]


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
    except (av.error.FFmpegError, *DAMAGED) as error:
        raise UserError(f"{path}: the video can't be read ({error}). Is it complete?") from error
    if not packets:
        raise UserError(f"{path}: the video has no frames.")
    if any(stamp is None for stamp, _ in packets) or len({stamp for stamp, _ in packets}) < len(packets):
        raise UserError(f"{path}: frames of the video have no time stamps of their own; it is damaged.")
    packets.sort()
    keys = np.array([number for number, (_, key) in enumerate(packets) if key] or [0])
    return _FrameTable(np.array([stamp for stamp, _ in packets]), keys, height, width)
