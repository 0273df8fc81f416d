"""Videos through PyAV: write frames, and read all or only the requested ones, upright and in their display order."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.frames import MAX_PIXELS, LazyFrames
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

FAR = 16  # frames: for a frame farther ahead, with a keyframe in between, the file is sought instead of decoded on
# By default FFmpeg conceals what it can't decode, without an error.
STRICT = {"err_detect": "explode"}
# A file is a video itself: it names no other files, as playlists do, and none on other machines.
LOCAL = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"}
IN_DECODING_ORDER = ("h264", "hevc")  # codecs whose frames AVI files stamp in decoding order, not in display order
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
        self._container = av.open(_file_url(path), "w", format="mp4")
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


def _file_url(path: Path) -> str:
    """A path for FFmpeg, which takes one with a colon for the address of another machine otherwise."""
    return f"file:{os.path.abspath(path)}"


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

    def __init__(self, path: Path, numbers: np.ndarray | None = None, left_half: bool = False):
        """
        Args:
            path: Path of the file.
            numbers: Numbers [T], increasing, of the file's frames that are frames 0 to T - 1 here; -1 where the file
                lacks the frame, which is an error when it is asked for. None means all.
            left_half: Return the left half of each frame, as for a stereo pair side by side.

        Raises:
            UserError: The file is missing, or can't be read.
        """
        self._table = _frame_table(path, *_identity(path))
        self._numbers = np.arange(len(self._table.stamps)) if numbers is None else numbers
        width = self._table.width // (2 if left_half else 1)
        super().__init__(str(path), len(self._numbers), self._table.height, width)
        self.path = path

    def _load(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        from av.error import FFmpegError, InvalidDataError

        numbers = self._numbers[wanted]
        if np.any(numbers < 0):
            raise UserError(f"{self.path}: the video has no frame at the time of row {wanted[numbers < 0][0]}.")
        try:
            with opened_video(self.path) as (container, stream):
                frames, position = decode(container, stream), 0
                for number in numbers:
                    key, sought = self._table.key_before(number), False
                    if number < position or (key > position and number > position + FAR):
                        container.seek(int(self._table.stamps[key]), stream=stream)
                        frames, sought = decode(container, stream), True
                    try:
                        found = self._find(frames, number, position)
                    except InvalidDataError:
                        if not sought:
                            raise
                        # Frames after some keyframes need those before it.
                        container.seek(int(self._table.stamps[0]), stream=stream)
                        frames = decode(container, stream)
                        found = self._find(frames, number, 0)
                    yield self._to_array(found)
                    position = number + 1
        except (FFmpegError, *DAMAGED) as error:
            raise UserError(f"{self.path}: the video can't be decoded ({error}). Is it complete?") from error

    def _find(self, frames: Iterator[av.VideoFrame], number: int, position: int) -> av.VideoFrame:
        """Decode on to the frame with this number; frames without stamps of their own are counted from ``position``."""
        for count, frame in enumerate(frames, position):
            stamp = self._table.stamps[count] if self._table.counted else frame.pts
            if stamp == self._table.stamps[number]:
                return frame
            if stamp is not None and stamp > self._table.stamps[number]:
                break
        raise ValueError(f"frame {number} is missing")

    def _to_array(self, frame: av.VideoFrame) -> np.ndarray:
        if frame_size(frame) != (self._table.height, self._table.width):
            raise ValueError(f"a frame has {frame.width} × {frame.height} pixels, which isn't the header's size")
        _, height, width, _ = self.shape
        return upright(frame, (height, round(width * self._table.width / self._stored[1])))[:, :width]


def frame_times(path: Path) -> np.ndarray:
    """Seconds [N] at which a file's frames are shown, by its own time stamps; cached.

    Raises:
        UserError: The file is missing, or can't be read.
    """
    table = _frame_table(path, *_identity(path))
    return table.stamps * table.unit


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """An open file and its first video stream, of which damaged frames are errors, never concealed.

    Raises:
        FFmpegError: The file can't be opened. One of :data:`DAMAGED`: It has no video.
    """
    import av

    with av.open(_file_url(path), options=LOCAL) as container:
        stream = container.streams.video[0]
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            raise ValueError(f"frames of {stream.codec_context.width} × {stream.codec_context.height} pixels")
        stream.codec_context.thread_count = 1  # files are decoded in parallel instead
        stream.codec_context.options = STRICT
        yield container, stream


def decode(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Frames in display order from a keyframe on, the one to which the file was sought.

    Raises:
        InvalidDataError: A frame is damaged, or needs frames before the keyframe. ValueError: A frame is damaged.
    """
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise ValueError("a frame is damaged")
        yield frame


def is_counted(container: InputContainer, stream: av.VideoStream) -> bool:
    """Whether the stamps are those of the decoding order, so that frames are to be counted instead."""
    context = stream.codec_context
    return container.format.name == "avi" and context.name in IN_DECODING_ORDER and bool(context.has_b_frames)


def frame_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Height and width of a frame once it is upright."""
    return (frame.width, frame.height) if _turn(frame)[0] else (frame.height, frame.width)


def upright(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """A frame as RGB, uint8 [H, W, 3], turned as the file's header asks for.

    Args:
        frame: Decoded frame.
        size: Height and width of the result; reduced by the decoder's scaler, at a tenth of the cost of doing it
            afterwards.
    """
    swapped, rows, columns = _turn(frame)
    height, width = size[::-1] if swapped else size
    if (height, width) == (frame.height, frame.width):
        rgb = frame.to_ndarray(format="rgb24")
    else:
        rgb = frame.reformat(width, height, format="rgb24", interpolation="AREA").to_ndarray()
    rgb = rgb.swapaxes(0, 1) if swapped else rgb
    return rgb[:: -1 if rows else 1, :: -1 if columns else 1]


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether rows and columns are to be swapped, and then the rows and the columns reversed.

    Raises:
        ValueError: It is turned by something else than quarters.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # FFmpeg's display matrix: x' = a x + c y, y' = b x + d y, x to the right and y down.
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    if a and d and not b and not c:
        return False, d < 0, a < 0
    if b and c and not a and not d:
        return True, b < 0, c < 0
    raise ValueError("it is to be shown at an angle that is no quarter turn")


@dataclass(frozen=True)
class _FrameTable:
    """Frames of a file in display order.

    Attributes:
        stamps: int64 [N], time stamps in the stream's unit.
        keys: Numbers of the keyframes.
        unit: Seconds.
        counted: Whether decoded frames have no stamps of their own, see :func:`is_counted`.
        height, width: Size of the upright frames, pixels.
    """

    stamps: np.ndarray
    keys: np.ndarray
    unit: float
    counted: bool
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
    """Read the table from a file's packets, without decoding them but for the first frame, which has the turn."""
    from av.error import FFmpegError

    try:
        with opened_video(path) as (container, stream):
            # Packets before the start of a trimmed file are decoded, but not shown.
            packets = [
                (packet.pts, packet.is_keyframe)
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
            unit, counted = float(stream.time_base or 0), is_counted(container, stream)
        height, width = _upright_size(path)
    except (FFmpegError, *DAMAGED) as error:
        raise UserError(f"{path}: the video can't be read ({error}). Is it complete?") from error
    if not packets:
        raise UserError(f"{path}: the video has no frames.")
    if any(stamp is None for stamp, _ in packets) or len({stamp for stamp, _ in packets}) < len(packets) or not unit:
        raise UserError(f"{path}: frames of the video have no time stamps of their own; it is damaged.")
    packets.sort()
    keys = [0] if counted else [number for number, (_, key) in enumerate(packets) if key] or [0]
    return _FrameTable(np.array([stamp for stamp, _ in packets]), np.array(keys), unit, counted, height, width)


def _upright_size(path: Path) -> tuple[int, int]:
    """Height and width by the first frame that can be decoded."""
    import av
    from av.error import InvalidDataError

    with av.open(_file_url(path), options=LOCAL) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                for frame in stream.decode(packet):
                    return frame_size(frame)
            except InvalidDataError:
                continue
    raise ValueError("no frame can be decoded")
