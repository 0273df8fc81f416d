"""Cameras of a DROID episode: roles, videos and calibration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.camera_arrays import EXTRINSICS, INTRINSICS, TYPES
from vjepa_sim.data.episode import EXOCENTRIC_ROLES, ROLES, WRIST, Camera, as_serial, is_role, role_of_view
from vjepa_sim.data.formats.droid.layout import VIDEOS
from vjepa_sim.data.formats.hdf5 import find_group, floats, has, names_in, numbers
from vjepa_sim.data.video import Video
from vjepa_sim.data.walk import Folder
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

ON_END_EFFECTOR = 0  # value in observation/camera_type
MAX_MISSING_FRAMES = 1  # some of DROID's videos lack the last frame


def find_serials(file: h5py.File, metadata: dict, ours: dict, folder: Path) -> dict[str, str]:
    """Serial by role of every known camera, also of those without a video; serials differ.

    They are those that our writer stored, or the metadata's, or follow from camera_type (0 on the end effector, others
    sorted), or from the names of the videos: the first of these sources with a video that is there.

    Raises:
        UserError: There is no video.
    """
    for serials in _sources(file, metadata, ours, folder):
        ordered = [*(role for role in ROLES if role in serials), *(role for role in serials if role not in ROLES)]
        # Where a camera is missing, collections without stored roles name another one in its place.
        first = {serial: role for role, serial in reversed([(role, serials[role]) for role in ordered])}
        found = {role: serials[role] for role in ordered if first[serials[role]] == role}
        if with_video(folder, found):
            return found
    raise UserError(_no_video(folder))


def _sources(file: h5py.File, metadata: dict, ours: dict, folder: Path) -> Iterator[dict[str, str]]:
    noted = ours.get("roles")
    if isinstance(noted, dict) and all(is_role(role) and isinstance(serial, str) for role, serial in noted.items()):
        yield noted
    fields = {role: f"{role}_cam_serial" for role in ROLES}
    if all(isinstance(metadata.get(field), str) for field in fields.values()):
        yield {role: metadata[field] for role, field in fields.items()}
    if has(file, TYPES):
        known = sorted(names_in(find_group(file, TYPES)))
        moving = [serial for serial in known if _moves_with_end_effector(file, serial)]
        others = [serial for serial in known if serial not in moving]
        yield dict([*zip(EXOCENTRIC_ROLES, others, strict=False), *zip((WRIST,), moving, strict=False)])
    recorded = {name.removesuffix(".mp4").removesuffix("-stereo") for name in _recorded(folder)}
    yield dict(zip(EXOCENTRIC_ROLES, sorted(recorded), strict=False))


def with_video(folder: Path, serials: dict[str, str]) -> dict[str, str]:
    """Those cameras, serial by role, that have a video."""
    return {role: serial for role, serial in serials.items() if _video(folder, serial)}


def _moves_with_end_effector(file: h5py.File, serial: str) -> bool:
    return bool(numbers(file, f"{TYPES}/{serial}").flat[0] == ON_END_EFFECTOR)


def read_cameras(
    file: h5py.File, serials: dict[str, str], folder: Path, *, rows: int, views: tuple[str, ...] | None
) -> list[Camera]:
    """Cameras, their videos not yet decoded.

    Args:
        file: Open trajectory.h5.
        serials: Serials by role of the cameras with a video, see :func:`with_video`.
        folder: Folder of the episode.
        rows: Rows of the episode; a video may lack one frame.
        views: Cameras to return, see :meth:`.Episode.view`; None means all.

    Raises:
        UserError: There is no such camera, or a video doesn't fit.
    """
    poses: dict[str, np.ndarray | None] = dict.fromkeys(serials)
    poses |= read_poses(file, serials, rows)
    shown = {role: as_serial(serial) for role, serial in serials.items()}
    chosen = list(serials) if views is None else [role_of_view(view, shown, poses) for view in views]
    cameras = []
    for role in dict.fromkeys(chosen):
        video = open_video(folder, serials[role])
        if not rows - MAX_MISSING_FRAMES <= len(video) <= rows:
            raise UserError(
                f"{len(video)} frames in {video.path.name} for {rows} rows; at most one frame may be missing."
            )
        matrices = _leaf(file, f"{INTRINSICS}/{serials[role]}_left", (rows, 3, 3))
        cameras.append(
            Camera(
                shown[role],
                video,
                role=role,
                extrinsics=poses[role],
                intrinsics=None if matrices is None else matrices[0],
            )
        )
    return cameras


def read_poses(file: h5py.File, serials: dict[str, str], rows: int) -> dict[str, np.ndarray | None]:
    """Poses [T, 6] by role of the cameras that have them; None where they aren't finite, and so unknown.

    Raises:
        UserError: They have another shape.
    """
    names = {role: f"{EXTRINSICS}/{serial}_left" for role, serial in serials.items()}
    found = {role: floats(file, name, (rows, 6)) for role, name in names.items() if has(file, name)}
    return {role: pose if np.all(np.isfinite(pose)) else None for role, pose in found.items()}


def open_video(folder: Path, serial: str) -> Video:
    """A camera's video; the left one of a stereo pair.

    Raises:
        UserError: The video is missing or can't be read.
    """
    path = _video(folder, serial)
    if path is None:
        raise UserError(f"no video {serial}.mp4 or {serial}-stereo.mp4 in {VIDEOS}.")
    return Video(path, left_half=path.stem == f"{serial}-stereo")


def _leaf(file: h5py.File, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    return floats(file, name, shape) if has(file, name) else None


def _recorded(folder: Path) -> list[str]:
    """Names of the video files."""
    path = folder / VIDEOS
    return [item.name for item in Folder(path).files if item.name.endswith(".mp4")] if path.is_dir() else []


def _video(folder: Path, serial: str) -> Path | None:
    """A camera's video; only a file of the episode's, whatever the serial is."""
    recorded = _recorded(folder)
    names = (f"{serial}.mp4", f"{serial}-stereo.mp4")
    return next((folder / VIDEOS / name for name in names if name in recorded), None)


def _no_video(folder: Path) -> str:
    if (folder / "recordings" / "SVO").is_dir():
        return (
            "its recordings are SVO files only. Convert them to recordings/MP4 with DROID's own script (svo2mp4, which "
            "needs the ZED SDK), or download the MP4 files."
        )
    return f"no video in {VIDEOS}. The episode is incomplete; restore or remove the folder."
