"""Cameras of a DROID episode: roles, videos and calibration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.data.episode import EXOCENTRIC_ROLES, ROLES, WRIST, Camera, is_role, role_of_view
from vjepa_sim.data.formats.droid.layout import VIDEOS
from vjepa_sim.data.formats.hdf5 import find_group, names_in, numbers
from vjepa_sim.data.video import Video
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py

ON_END_EFFECTOR = 0  # value in observation/camera_type
TYPES = "observation/camera_type"
MAX_MISSING_FRAMES = 1  # some of DROID's videos lack the last frame


def find_serials(file: h5py.File, metadata: dict, ours: dict, folder: Path) -> dict[str, str]:
    """Serial by role of every camera with a video.

    They are those that our writer stored, or the metadata's, or follow from camera_type (0 on the end effector, others
    sorted), or from the names of the videos.

    Raises:
        UserError: There is no video.
    """
    fields = {role: f"{role}_cam_serial" for role in ROLES}
    noted = ours.get("roles")
    if isinstance(noted, dict) and all(is_role(role) and isinstance(serial, str) for role, serial in noted.items()):
        serials = noted
    elif all(isinstance(metadata.get(field), str) for field in fields.values()):
        serials = {role: metadata[field] for role, field in fields.items()}
        if len(set(serials.values())) == 1:
            # Older collections of ours, without stored roles: one camera in all three, as DROID's readers reject gaps.
            serials = {"ext1": serials["ext1"]}
    elif TYPES in file:
        known = sorted(names_in(find_group(file, TYPES)))
        moving = [serial for serial in known if _moves_with_end_effector(file, serial)]
        others = [serial for serial in known if serial not in moving]
        serials = dict(zip(EXOCENTRIC_ROLES, others, strict=False)) | dict(zip((WRIST,), moving, strict=False))
    else:
        serials = dict(zip(EXOCENTRIC_ROLES, sorted(_recorded(folder)), strict=False))
    ordered = [*(role for role in ROLES if role in serials), *(role for role in serials if role not in ROLES)]
    found = {role: serials[role] for role in ordered if _video(folder, serials[role])}
    if not found:
        raise UserError(_no_video(folder))
    return found


def _moves_with_end_effector(file: h5py.File, serial: str) -> bool:
    return bool(numbers(file, f"{TYPES}/{serial}").flat[0] == ON_END_EFFECTOR)


def read_cameras(
    file: h5py.File, serials: dict[str, str], folder: Path, *, rows: int, views: tuple[str, ...] | None
) -> list[Camera]:
    """Cameras, their videos not yet decoded.

    Args:
        file: Open trajectory.h5.
        serials: Serials by role, see :func:`find_serials`.
        folder: Folder of the episode.
        rows: Rows of the episode; a video may lack one frame.
        views: Cameras to return, see :meth:`.Episode.view`; None means all.

    Raises:
        UserError: There is no such camera, or a video doesn't fit.
    """
    poses = {role: _leaf(file, f"observation/camera_extrinsics/{serial}_left") for role, serial in serials.items()}
    chosen = list(serials) if views is None else [role_of_view(view, serials, poses) for view in views]
    cameras = []
    for role in dict.fromkeys(chosen):
        video = open_video(folder, serials[role])
        if not rows - MAX_MISSING_FRAMES <= len(video) <= rows:
            raise UserError(
                f"{len(video)} frames in {video.path.name} for {rows} rows; at most one frame may be missing."
            )
        matrices = _leaf(file, f"observation/camera_intrinsics/{serials[role]}_left")
        cameras.append(
            Camera(
                serials[role],
                video,
                role=role,
                extrinsics=poses[role],
                intrinsics=None if matrices is None else matrices[0],
            )
        )
    return cameras


def open_video(folder: Path, serial: str) -> Video:
    """A camera's video; the left one of a stereo pair.

    Raises:
        UserError: The video is missing or can't be read.
    """
    path = _video(folder, serial)
    if path is None:
        raise UserError(f"no video {serial}.mp4 or {serial}-stereo.mp4 in {VIDEOS}.")
    return Video(path, left_half=path.stem.endswith("-stereo"))


def _leaf(file: h5py.File, name: str) -> np.ndarray | None:
    return numbers(file, name).astype(np.float64) if name in file else None


def _recorded(folder: Path) -> set[str]:
    path = folder / VIDEOS
    names = os.listdir(path) if path.is_dir() else []
    return {name.removesuffix(".mp4").removesuffix("-stereo") for name in names if name.endswith(".mp4")}


def _video(folder: Path, serial: str) -> Path | None:
    paths = [folder / VIDEOS / f"{serial}.mp4", folder / VIDEOS / f"{serial}-stereo.mp4"]
    return next((path for path in paths if path.is_file()), None)


def _no_video(folder: Path) -> str:
    if (folder / "recordings" / "SVO").is_dir():
        return (
            "its recordings are SVO files only. Convert them to recordings/MP4 with DROID's own script (svo2mp4, which "
            "needs the ZED SDK), or download the MP4 files."
        )
    return f"no video in {VIDEOS}. The episode is incomplete; restore or remove the folder."
