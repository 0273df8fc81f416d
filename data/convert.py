"""Turn a data set of one format into a new one of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.files import write_json
from data.formats import open_reader, open_writer
from data.formats.format import Progress, no_progress
from data.provenance import provenance
from envs.errors import UserError

MAX_BAD_SHARE = 0.1  # of the episodes that may be unreadable


@dataclass(frozen=True)
class Converted:
    """The outcome of a conversion.

    Attributes:
        written: episodes.
        skipped: why episodes are missing, by name.
        record: the file that tells where the data came from.
    """

    written: int
    skipped: dict[str, str]
    record: Path


def convert(
    source: Path,
    out: Path,
    to: str,
    format: str | None = None,
    views: tuple[str, ...] | None = None,
    on_progress: Progress = no_progress,
) -> Converted:
    """Read every episode and write it again; numbers stay as they are, pictures go through the format's codec.

    Args:
        source: a data set.
        out: the new one.
        to: its format.
        format: of the source, or None to find out.
        views: only these cameras; None means all.
        on_progress: called with the numbers of episodes done and in all.

    Raises:
        UserError: more than a tenth of the episodes can't be read, or an episode doesn't fit the format.
    """
    reader = open_reader(source, format)
    skipped: dict[str, str] = {}
    written = 0
    with open_writer(out, to) as writer:
        for number, entry in enumerate(reader.entries):
            on_progress(number, len(reader))
            try:
                episode = reader.read(number, views, extras=True)
                for camera in episode.cameras:
                    camera.frames[-1]  # what can't be decoded is found before anything is written
            except UserError as error:
                skipped[entry.name] = str(error)
                if len(skipped) > max(1, MAX_BAD_SHARE * len(reader)):
                    raise UserError(
                        f"{len(skipped)} of {len(reader)} episodes can't be read, the last: {error} At most "
                        f"{MAX_BAD_SHARE:.0%} may be bad. `vjepa-sim lint {source}` lists them."
                    ) from error
                continue
            writer.write(episode)
            written += 1
        on_progress(len(reader), len(reader))
    record = out / "conversion.json" if out.is_dir() else out.with_name(f"{out.name}.conversion.json")
    write_json(
        record,
        {
            "source": str(source),
            "format": reader.format,
            "to": to,
            "views": views,
            "episodes": written,
            "skipped": skipped,
            "provenance": provenance(),
        },
    )
    return Converted(written, skipped, record)
