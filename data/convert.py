"""Turn a data set of one format into a new one of another."""

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
        written: episodes.
        left_out: why episodes are missing, by name.
        record: the file that tells where the data came from.
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
    """Read every episode and write it again; numbers stay as they are, pictures go through the format's codec.

    What was interrupted can be read, and ``conversion.json`` says that it isn't complete.

    Args:
        source: a data set.
        out: the new one.
        to: its format.
        format: of the source, or None to find out.
        views: only these cameras; None means all.
        on_progress: called with the numbers of episodes done and in all.

    Raises:
        UserError: more than a tenth of the episodes can't be read or don't fit the format.
    """
    reader = open_reader(source, format, on_progress)
    left_out = LeftOut(str(source), "episodes", len(reader))
    names: list[str] = []
    with open_writer(out, to) as writer:
        record = out.with_name(f"{out.name}.conversion.json") if out.suffix else out / "conversion.json"
        told = {"source": str(source), "format": reader.format, "to": to, "views": views, "provenance": provenance()}
        write_json(record, {"complete": False, **told})
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
    # The names tell which episode of the source each one was.
    write_json(record, {"complete": True, **told, "episodes": names, "left_out": left_out.reasons})
    return Converted(len(names), left_out.reasons, record)


def _decode(episode: Episode) -> None:
    """Whatever can't be decoded is found before anything is written."""
    for camera in episode.cameras:
        for start in range(0, len(episode), AT_ONCE):
            camera.frames[start : start + AT_ONCE]
