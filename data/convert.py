"""Convert a data set into a new one of another format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vjepa_sim.data.camera_arrays import rename_leaf
from vjepa_sim.data.episode import EXOCENTRIC_ROLES, SIDES, Episode
from vjepa_sim.data.files import write_json
from vjepa_sim.data.formats import FORMATS, open_reader, open_writer
from vjepa_sim.data.formats.format import Progress, Reader, no_progress
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
        unshared: Sentences on cameras and arrays that are left out, since some episodes lack them.
        record: File with the provenance of the data.
    """

    written: int
    left_out: dict[str, str]
    unshared: list[str]
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

    If the format wants all episodes alike, as LeRobot's does, they are read twice, and what they don't share is left
    out. ``left`` is then the camera ``ext1`` and ``right`` is ``ext2``, whichever of the two it is in the source.

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
    if reader.root.is_dir() and Path(out).resolve().is_relative_to(reader.root.resolve()):
        raise UserError(
            f"{out} is inside the data set {reader.root}, which would hold every episode twice. Give another."
        )
    left_out = LeftOut(str(source), "episodes", len(reader))
    names: list[str] = []
    with open_writer(out, to) as writer:
        record = out.with_name(f"{out.name}.conversion.json") if FORMATS[to].one_file else out / "conversion.json"
        origin = {"source": str(source), "format": reader.format, "to": to, "views": views, "provenance": provenance()}
        write_json(record, {"complete": False, **origin})
        unshared = writer.prepare(_readable(reader, views, on_progress))
        for number, entry in enumerate(reader.entries):
            on_progress(number, len(reader))
            try:
                episode = reader.read(number, views, extras=True)
                if writer.alike:
                    episode = _by_side(episode, views or ())
                _decode(episode)
                writer.write(episode)
            except UserError as error:
                left_out.note(entry.name, error)
            else:
                names.append(entry.name)
        on_progress(len(reader), len(reader))
    # Names of the source's episodes, in the order of the new data set's.
    outcome = {"episodes": names, "left_out": left_out.reasons, "unshared": unshared}
    write_json(record, {"complete": True, **origin, **outcome})
    return Converted(len(names), left_out.reasons, unshared, record)


def _readable(reader: Reader, views: tuple[str, ...] | None, on_progress: Progress) -> Iterator[Episode]:
    """The readable episodes as they will be written, frames not decoded."""
    for number in range(len(reader)):
        on_progress(number, len(reader))
        with suppress(UserError):  # noted when it is to be written
            yield _by_side(reader.read(number, views, extras=True), views or ())


def _by_side(episode: Episode, views: tuple[str, ...]) -> Episode:
    """The episode with the roles ``ext1`` for the left camera and ``ext2`` for the right one, if these are wanted."""
    wanted = {side: role for side, role in zip(SIDES, EXOCENTRIC_ROLES, strict=True) if side in views}
    roles = {episode.view(side).role: role for side, role in wanted.items()}
    if any(role not in EXOCENTRIC_ROLES for role in roles):
        return episode
    names = {role: roles.get(role, role) for role in (camera.role for camera in episode.cameras)}
    if len(set(names.values())) < len(names):  # the other one is wanted by its role
        return episode
    return replace(
        episode,
        cameras=tuple(replace(camera, role=names[camera.role]) for camera in episode.cameras),
        extras={rename_leaf(name, names): each for name, each in episode.extras.items()},
    )


def _decode(episode: Episode) -> None:
    """Decode all frames, so that errors are found before anything is written."""
    for camera in episode.cameras:
        for start in range(0, len(episode), AT_ONCE):
            camera.frames[start : start + AT_ONCE]
