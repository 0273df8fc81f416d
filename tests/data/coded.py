"""Small videos whose frames show their own number."""

from fractions import Fraction

import av
import numpy as np

BITS = 12


def numbered(count, first=0, height=48, width=96):
    """uint8 [T, H, W, 3]: upright bars show each frame's number in binary."""
    numbers = first + np.arange(count)
    bits = (numbers[:, None] >> np.arange(BITS)) & 1
    bars = np.repeat(np.where(bits, 220, 30), width // BITS, axis=1).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(bars[:, None, :, None], (count, height, width, 3)))


def number(frame):
    bars = frame[12:36].mean((0, 2)).reshape(BITS, -1)[:, 2:-2].mean(1)
    return int(((bars > 125) << np.arange(BITS)).sum())


def write(path, frames, rate=15, stamps=None, codec="libx264", **options):
    """A video; ``stamps`` are in units of 1 / ``rate``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.options = {"crf": "10", "g": "4", "bf": "0", "preset": "ultrafast", **options}
        for place, frame in enumerate(frames):
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if stamps is not None:
                image.pts, image.time_base = int(stamps[place]), 1 / Fraction(rate).limit_denominator(1000)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return path


def remux(source, path, rotation=None, shift=0):
    """The same packets in another file, turned by degrees or begun ``shift`` seconds later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                packet.pts -= int(shift / packet.time_base)
                packet.dts -= int(shift / packet.time_base)
                new.mux(packet)
    return path
