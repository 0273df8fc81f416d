"""Convert a data set into a new one of another format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.data.episode import Episode
from vjepa_sim.data.files import write_json
from vjepa_sim.data.formats import open_reader, open_writer
from vjepa_sim.data.formats.format import Progress, no_progress
from vjepa_sim.data.left_out import LeftOut
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError

AT_ONCE = 64  # frames


@dataclass(frozen=True)
class Converted:
    """The outcome of a conversion.

    Attributes:
        written: Number of episodes written.
        left_out: Names of the missing episodes, and the reasons.
        record: File with the provenance of the data.
    """

    written: int
    left_out: dict[str, str]
    record: Path


def convert(
    source: Path,
    out: Path,
    to: str,
    *,
    format: str | None = None,
    views: tuple[str, ...] | None = None,
    on_progress: Progress = no_progress,
) -> Converted:
    """Read every episode and write it again; numbers stay equal, images are compressed by the new format's codec.

    After an interruption the part written is readable, and ``conversion.json`` has ``complete: false``.

    Args:
        source: Data set to read.
        out: New data set.
        to: Format of the new data set.
        format: Format of the source, or None to detect it.
        views: Cameras to keep; None means all.
        on_progress: Called with the number of episodes done and the total.

    Raises:
        UserError: More than a tenth of the episodes are unreadable or don't fit the format.
    """
    reader = open_reader(source, format, on_progress)
    left_out = LeftOut(str(source), "episodes", len(reader))
    names: list[str] = []
    with open_writer(out, to) as writer:
        record = out.with_name(f"{out.name}.conversion.json") if out.suffix else out / "conversion.json"
        origin = {"source": str(source), "format": reader.format, "to": to, "views": views, "provenance": provenance()}
        write_json(record, {"complete": False, **origin})
        for number, entry in enumerate(reader.entries):
            on_progress(number, len(reader))
            try:
                episode = reader.read(number, views, extras=True)
                _decode(episode)
                writer.write(episode)
            except UserError as error:
                left_out.note(entry.name, error)
            else:
                names.append(entry.name)
        on_progress(len(reader), len(reader))
    # Names of the source's episodes, in the order of the new data set's.
    write_json(record, {"complete": True, **origin, "episodes": names, "left_out": left_out.reasons})
    return Converted(len(names), left_out.reasons, record)


def _decode(episode: Episode) -> None:
    """Decode all frames, so that errors are found before anything is written."""
    for camera in episode.cameras:
        for start in range(0, len(episode), AT_ONCE):
            camera.frames[start : start + AT_ONCE]
