"""MP4 videos through PyAV: write frames, and read all or only the requested ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import av

FAR = 16  # frames: for a frame farther ahead, with a keyframe in between, the file is sought instead of decoded on
# By default FFmpeg conceals what it can't decode, without an error.
STRICT = {"err_detect": "explode"}
# Errors that PyAV raises for damaged files besides its own; AttributeError if a stream has no codec.
DAMAGED = (OSError, ValueError, IndexError, TypeError, AttributeError, OverflowError, MemoryError)


def write_video(path: Path, frames: np.ndarray | LazyFrames, *, rate: float, quality: int = 14, group: int = 8) -> None:
    """Write frames as H.264, atomically.

    Args:
        path: A new ``.mp4`` file.
        frames: uint8 [T, H, W, 3]; odd H or W are padded by one row or column.
        rate: Frames per second in the header.
        quality: Constant rate factor of x264; 14 leaves 128-pixel images nearly unchanged.
        group: Frames from one keyframe to the next; with short groups any frame is quickly decoded.
    """
    partial = path.with_name(f".partial-{path.name}")
    with VideoWriter(partial, rate, quality, group) as writer:
        for start in range(0, len(frames), 64):
            writer.add(frames[start : start + 64])
    os.replace(partial, path)


class VideoWriter:
    """An H.264 file to which frames of one size are appended; a context manager.

    Attributes:
        count: Number of frames so far.
    """

    def __init__(self, path: Path, rate: float, quality: int = 14, group: int = 8):
        import av

        self.count = 0
        self._rate = Fraction(rate).limit_denominator(1000)
        # No B-frames: frames are stored in the order in which they are shown.
        self._options: dict[str, object] = {"crf": str(quality), "preset": "veryfast", "g": str(group), "bf": "0"}
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = None

    def add(self, frames: np.ndarray) -> None:
        """Append frames uint8 [N, H, W, 3].

        Raises:
            UserError: Their size differs from that of the first frames.
        """
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
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            self._container.mux(self._stream.encode(image))
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
        UserError: The file is missing or can't be decoded.
    """
    return Video(path)[:]


class Video(LazyFrames):
    """Frames of a video file, found by number, never by the header's frame rate. The file is opened for each indexing.

    Attributes:
        path: Path of the file.
    """

    def __init__(self, path: Path, first: int = 0, count: int | None = None, left_half: bool = False):
        """
        Args:
            path: Path of the file.
            first: Number of the file's frame that is frame 0 here.
            count: Number of frames; None means all from ``first`` on.
            left_half: Return the left half of each frame, as for a stereo pair side by side.

        Raises:
            UserError: The file is missing, can't be read, or has fewer frames.
        """
        self._table = _frame_table(path, *_identity(path))
        available = len(self._table.stamps) - first
        count = available if count is None else count
        if available < count or count < 1:
            raise UserError(f"{path}: {max(0, available)} frames from frame {first} on; {count} were expected.")
        super().__init__(str(path), count, self._table.height, self._table.width // (2 if left_half else 1))
        self.path = path
        self._first = first

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        import av
        from av.error import FFmpegError

        wanted = wanted + self._first
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1  # episodes are decoded in parallel instead
                stream.codec_context.options = STRICT
                frames, position = container.decode(stream), 0
                for number in wanted:
                    key = self._table.key_before(number)
                    if number < position or (key > position and number > position + FAR):
                        container.seek(int(self._table.stamps[key]), stream=stream)
                        frames = container.decode(stream)
                    yield self._to_array(self._find(frames, number))
                    position = number + 1
        except (FFmpegError, *DAMAGED) as error:
            raise UserError(f"{self.path}: the video can't be decoded ({error}). Is it complete?") from error

    def _find(self, frames: Iterator[av.VideoFrame], number: int) -> av.VideoFrame:
        """Decode on to the frame with this number."""
        for frame in frames:
            if frame.pts == self._table.stamps[number]:
                return frame
            if frame.pts is not None and frame.pts > self._table.stamps[number]:
                break
        raise ValueError(f"frame {number} is missing")

    def _to_array(self, frame: av.VideoFrame) -> np.ndarray:
        """Frame as RGB; reduced by the decoder's scaler, at a tenth of the cost of doing it afterwards."""
        if (frame.height, frame.width) != (self._table.height, self._table.width):
            raise ValueError(f"a frame has {frame.width} × {frame.height} pixels, which isn't the header's size")
        _, height, width, _ = self.shape
        if (height, width) == self._stored:
            return frame.to_ndarray(format="rgb24")[:, :width]
        whole = round(width * frame.width / self._stored[1])
        rgb = frame.reformat(whole, height, format="rgb24", interpolation="AREA").to_ndarray()
        return rgb[:, :width]


@dataclass(frozen=True)
class _FrameTable:
    """Time stamps of a file's frames in the stream's unit, in display order, and the numbers of its keyframes."""

    stamps: np.ndarray
    keys: np.ndarray
    height: int
    width: int

    def key_before(self, number: int) -> int:
        """Number of the last keyframe at or before a frame."""
        return int(self.keys[max(0, np.searchsorted(self.keys, number, side="right") - 1)])


def _identity(path: Path) -> tuple[int, int]:
    """Size and time of a file, which change with it."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f"{path}: the video can't be read ({error.strerror}).") from error
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=512)
def _frame_table(path: Path, size: int, changed: int) -> _FrameTable:
    """Read the table from a file's packets, without decoding them."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
            height, width = stream.height, stream.width
    except (FFmpegError, *DAMAGED) as error:
        raise UserError(f"{path}: the video can't be read ({error}). Is it complete?") from error
    if not packets:
        raise UserError(f"{path}: the video has no frames.")
    if any(stamp is None for stamp, _ in packets) or len({stamp for stamp, _ in packets}) < len(packets):
        raise UserError(f"{path}: frames of the video have no time stamps of their own; it is damaged.")
    packets.sort()
    keys = np.array([number for number, (_, key) in enumerate(packets) if key] or [0])
    return _FrameTable(np.array([stamp for stamp, _ in packets]), keys, height, width)
