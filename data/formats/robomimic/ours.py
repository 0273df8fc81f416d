"""Episodes from demos that our writer wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from vjepa_sim.data.episode import Camera, Episode, is_role, is_serial
from vjepa_sim.data.files import parse_json_object
from vjepa_sim.data.formats.hdf5 import find_group, has, names_in, numbers, text
from vjepa_sim.data.formats.robomimic.frames import demo_frames
from vjepa_sim.data.formats.robomimic.writer import OURS
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    import h5py


def our_episode(demo: h5py.Group, path: Path, where: str, extras: bool) -> Episode:
    """The episode, exactly as written.

    Args:
        demo: Group of an open file.
        path: Path of the file, for frames.
        where: Name of the demo in messages.
        extras: Also read the extras.

    Raises:
        UserError: An array is missing, or contents are inconsistent.
    """
    ours = find_group(demo, OURS)
    about = _about(ours)
    states = numbers(ours, "states")
    rows = len(states)
    return Episode(
        cameras=tuple(
            Camera(
                serial,
                demo_frames(demo, f"{role}_image", path=path, where=where),
                role=role,
                extrinsics=_optional(ours, f"cameras/{role}/extrinsics"),
                intrinsics=_optional(ours, f"cameras/{role}/intrinsics"),
            )
            for role, serial in about.pop("cameras").items()
        ),
        states=states,
        stamps=numbers(ours, "stamps", rows),
        commands=_optional(ours, "commands"),
        joints=_optional(ours, "joints"),
        privileged=_arrays(ours, "privileged", rows),
        extras=_arrays(ours, "extras", rows) if extras else {},
        **about,
    )


def _about(ours: h5py.Group) -> dict[str, Any]:
    """Fields of an episode that are not arrays, and serials of cameras by role."""
    fields = {
        "task": str,
        "success": bool | None,
        "behavior": str,
        "seed": int | None,
        "details": dict,
        "cameras": dict,
    }
    about = parse_json_object(text(ours, "about"), f"{OURS}/about")
    if not all(isinstance(about.get(name, ...), kind) for name, kind in fields.items()):
        raise UserError(f"{OURS}/about lacks some of {', '.join(fields)}, or they have another type")
    if about["seed"] is not None and not (type(about["seed"]) is int and abs(about["seed"]) < 2**63):
        raise UserError(f"{OURS}/about has the seed {about['seed']!r}; expected a whole number of 64 bits")
    if not all(is_role(role) and is_serial(serial) for role, serial in about["cameras"].items()):
        raise UserError(f"{OURS}/about names the cameras {about['cameras']}; expected serials by role")
    return {name: about[name] for name in fields}


def _optional(group: h5py.Group, name: str) -> np.ndarray | None:
    return numbers(group, name) if has(group, name) else None


def _arrays(ours: h5py.Group, name: str, rows: int) -> dict[str, np.ndarray]:
    if not has(ours, name):
        return {}
    group = find_group(ours, name)
    return {unquote(each): numbers(group, each, rows) for each in names_in(group)}
