"""Arrays of an episode that belong to a camera: their names have its role, as all labs' cameras have other serials."""

from __future__ import annotations

TYPES = "observation/camera_type"
EXTRINSICS, INTRINSICS = "observation/camera_extrinsics", "observation/camera_intrinsics"
CAMERA_GROUPS = (TYPES, EXTRINSICS, INTRINSICS, "observation/timestamp/cameras")  # DROID's groups of such arrays


def rename_leaf(name: str, names: dict[str, str]) -> str:
    """The path of an array, its camera's name replaced; unchanged if it isn't named by a camera in ``names``.

    Args:
        name: Path such as ``observation/camera_type/<camera>``.
        names: New names by old ones: roles by serial, serials by role, or roles by role.
    """
    group, _, leaf = name.rpartition("/")
    if group in CAMERA_GROUPS:
        for camera in sorted(names, key=len, reverse=True):
            if leaf == camera or leaf.startswith(f"{camera}_"):
                return f"{group}/{names[camera]}{leaf.removeprefix(camera)}"
    return name
