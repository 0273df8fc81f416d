"""Read DROID's raw layout in all known variants."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vjepa_sim.data.camera_arrays import rename_leaf
from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.files import read_json_object
from vjepa_sim.data.formats.droid.cameras import (
    find_serials,
    open_video,
    read_cameras,
    read_poses,
    with_video,
)
from vjepa_sim.data.formats.droid.layout import TRAJECTORY, find_episodes
from vjepa_sim.data.formats.droid.trajectory import check_rows, read_rows, read_states
from vjepa_sim.data.formats.format import Entry, Progress, Reader, digest_of, no_progress
from vjepa_sim.data.formats.hdf5 import opened
from vjepa_sim.data.formats.index import indexed
from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.data.video import Video
from vjepa_sim.data.walk import Folder
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

MAX_SEED = 2**63
# Metadata that is kept in an episode's details.
SOURCE = ("uuid", "lab", "user", "user_id", "date", "timestamp", "building", "scene_id", "robot_serial")
log = logging.getLogger(__name__)


class DroidReader(Reader):
    """Episodes at any depth below a folder."""

    format = "droid"

    def __init__(self, root: Path, on_progress: Progress = no_progress):
        root = Path(root)
        super().__init__(root, indexed(root, find_episodes(root), lambda name: describe(root, name), on_progress))
        for remark, count in Counter(entry.remark for entry in self.entries if entry.remark).items():
            log.warning("%s: in %d of %d episodes, %s.", root, count, len(self.entries), remark)

    def folder(self, number: int) -> Path:
        """Folder of an episode."""
        return self.root / self.entries[number].name

    def read(self, number: int, views: tuple[str, ...] | None = None, extras: bool = False) -> Episode:
        """See :meth:`.Reader.read`."""
        return read_episode(self.folder(number), views, extras)


def describe(root: Path, name: str) -> Entry:
    """The index entry of an episode; an unreadable one has an error in it."""
    folder = root / name
    try:
        with _opened(folder) as (file, metadata, ours):
            count, stamps, remark = check_rows(file)
            serials = with_video(folder, find_serials(file, metadata, ours, folder))
            videos = _videos(folder, serials)
            lost = [role for role, pose in read_poses(file, serials, count).items() if pose is None]
            if lost and not remark:
                remark = f"the pose of the camera {', '.join(lost)} isn't finite in all rows and is taken as unknown"
            rows = min(count, *(len(video) for video in videos.values()))
            stamps = stamps[:rows]
            details = _details(metadata, ours)
            _, height, width, _ = next(iter(videos.values())).shape
            return Entry(
                name=name,
                rows=rows,
                duration=float(stamps[-1] - stamps[0]),
                period=float(np.median(np.diff(stamps))),
                cameras=tuple(videos),
                height=height,
                width=width,
                success=_success(folder, metadata, ours),
                task=_task(metadata),
                seed=ours.get("seed"),
                arm=str(details.get("arm", "")),
                gripper=str(details.get("gripper", "")),
                digest=digest_of(read_states(file, count)),
                remark=remark,
            )
    except UserError as error:
        return Entry(name=name, error=str(error))


def read_episode(folder: Path, views: tuple[str, ...] | None = None, extras: bool = True) -> Episode:
    """Read one episode.

    Metadata (with the task description), intrinsics, time stamps, cameras and a video's last frame may be missing; of
    stereo videos the left half is read. The gripper of real DROID episodes is the Robotiq 2F-85.

    Args:
        folder: Folder with ``trajectory.h5``.
        views: Cameras to return, see :meth:`.Episode.view`; None means all with a video.
        extras: Also read every other array of the file, by path.

    Raises:
        UserError: A file is missing or damaged, or contents are inconsistent; the message names the folder.
    """
    folder = Path(folder)
    with _opened(folder) as (file, metadata, ours):
        serials = find_serials(file, metadata, ours, folder)
        roles = {serial: role for role, serial in serials.items()}
        rows = read_rows(file, roles if extras else None)
        count = len(rows["states"])
        cameras = read_cameras(file, with_video(folder, serials), folder, rows=count, views=views)
        if views is not None:  # arrays of the other cameras are left out as their videos are
            others = {role: "" for role in serials if role not in {camera.role for camera in cameras}}
            rows["extras"] = {name: each for name, each in rows["extras"].items() if rename_leaf(name, others) == name}
        length = min(count, *(len(camera.frames) for camera in cameras))  # a missing frame is the last one
        if "commands" in _unknown(ours):
            rows["commands"] = None
        return Episode(
            cameras=tuple(_shortened(camera, length) for camera in cameras),
            **{name: _cut(values, length) for name, values in rows.items()},
            task=_task(metadata),
            success=_success(folder, metadata, ours),
            behavior=str(ours.get("behavior", "unknown")),
            seed=ours.get("seed"),
            details=_details(metadata, ours),
        )


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[h5py.File, dict[str, Any], dict[str, Any]]]:
    """trajectory.h5, the metadata (empty in partial downloads), and our writer's entries in it."""
    names = [item.name for item in Folder(folder).files]
    if TRAJECTORY not in names:
        raise UserError(f"{folder}: no {TRAJECTORY}. The episode is incomplete; restore or remove the folder.")
    files = sorted(name for name in names if name.startswith("metadata_") and name.endswith(".json"))
    metadata = read_json_object(folder / files[0]) if files else {}
    ours = metadata.get("vjepa_sim", {})
    seed = ours.get("seed") if isinstance(ours, dict) else ""
    if seed is not None and not (type(seed) is int and abs(seed) < MAX_SEED):
        raise UserError(f"{folder}: the metadata's vjepa_sim must be an object, its seed a number.")
    with opened(folder / TRAJECTORY, str(folder)) as file:
        yield file, metadata, ours


def _videos(folder: Path, serials: dict[str, str]) -> dict[str, Video]:
    """The readable videos by role.

    Raises:
        UserError: None is readable.
    """
    videos, error = {}, UserError("")
    for role, serial in serials.items():
        try:
            videos[role] = open_video(folder, serial)
        except UserError as each:
            error = each
    if not videos:
        raise error
    return videos


def _task(metadata: dict) -> str:
    """The task description; letters that can't be encoded are replaced."""
    task = metadata.get("current_task")
    return ("" if task is None else str(task)).encode("utf-8", "replace").decode()


def _cut(values: Any, length: int) -> Any:
    if isinstance(values, dict):
        return {name: each[:length] for name, each in values.items()}
    return None if values is None else values[:length]


def _shortened(camera: Camera, length: int) -> Camera:
    frames = camera.frames
    if len(frames) != length:
        frames = frames.cut(length) if isinstance(frames, LazyFrames) else frames[:length]
    return replace(camera, frames=frames, extrinsics=_cut(camera.extrinsics, length))


def _details(metadata: dict, ours: dict) -> dict[str, Any]:
    if ours:
        return {
            name: value
            for name, value in ours.items()
            if name not in ("behavior", "seed", "period", "roles", "unknown")
        }
    source = {name: metadata[name] for name in SOURCE if name in metadata}
    return {"gripper": "robotiq", **({"source": source} if source else {})}


def _unknown(ours: dict) -> tuple:
    """Fields that were unknown when our writer filled them in."""
    unknown = ours.get("unknown", ())
    return tuple(unknown) if isinstance(unknown, list) else ()


def _success(folder: Path, metadata: dict, ours: dict) -> bool | None:
    """Success by the metadata, else by the folder's parent ``success`` or ``failure``."""
    if "success" in _unknown(ours):
        return None
    if "success" in metadata:
        if not isinstance(metadata["success"], bool):
            raise UserError(f"{folder}: the metadata's success must be true or false, not {metadata['success']!r}.")
        return metadata["success"]
    return {"success": True, "failure": False}.get(folder.resolve().parent.parent.name)
