"""Frames to MP4 and back, through PyAV."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np

from envs.errors import UserError


def write_video(path: Path, frames: np.ndarray, rate: float, quality: int = 14) -> None:
    """Write uint8 [T, H, W, 3] as H.264, whole or not at all.

    Args:
        path: a new ``.mp4`` file.
        frames: H and W even, or one row or column of padding is added.
        rate: frames per second, written into the header.
        quality: x264's constant rate factor; 14 leaves 128-pixel images nearly untouched.
    """
    import av

    _, height, width, _ = frames.shape
    pad = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    frames = np.pad(frames, pad, mode="edge")
    partial = path.with_name(f".partial-{path.name}")
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        # Short groups of pictures make any frame cheap to reach; no B-frames keep them in order.
        stream.options = {"crf": str(quality), "preset": "veryfast", "g": "8", "bf": "0"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    os.replace(partial, path)


def read_video(path: Path) -> np.ndarray:
    """All frames of a video, uint8 [T, H, W, 3].

    Raises:
        UserError: the file is missing or can't be decoded.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise UserError(f"{path}: the video can't be read ({error}). Is it complete?") from error
    if not frames:
        raise UserError(f"{path}: the video has no frames.")
    return np.stack(frames)
