"""Goal images on disk: a folder with one PNG for each, in order, and goals.json with names, steps and states."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_sim.data.files import check_replaceable, read_json_object, write_image, write_json
from vjepa_sim.data.image import open_image, to_rgb
from vjepa_sim.data.provenance import provenance
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Goal, check_steps
from vjepa_sim.envs.start import Start

GOALS_FILE = "goals.json"
KINDS = ("PNG", "JPEG")  # formats of images that are read
MAX_STEPS = 100_000  # of one goal
MAX_GOALS, MAX_BYTES = 1000, 2**29  # of a folder, its images in memory
PHOTO = "photo"  # key of a camera that is known by a photo's file name only
PHOTO_SIDE = 720  # pixels of a photo's shorter side: more than any model takes


@dataclass(frozen=True)
class Origin:
    """Where goals come from.

    Attributes:
        camera: Camera that took the images, JSON-compatible.
        start: Start of the simulated episode that the goals belong to; None for images of a real camera.
    """

    camera: dict[str, Any]
    start: Start | None = None


def save_goals(folder: Path, goals: list[Goal], camera: dict[str, Any], start: Start | None = None) -> None:
    """Write goals, after those that the folder already has.

    Args:
        folder: A new folder, or one that this function wrote.
        goals: Goals in order, with states if known.
        camera: Camera that took the images, JSON-compatible: its address, or the simulator's settings.
        start: Start of the simulated episode that the goals belong to.

    Raises:
        UserError: The folder holds something else, images of another size, camera or episode, or this episode's goals
            already.
    """
    for goal in goals:
        _check_steps(goal.steps)
    path = folder / GOALS_FILE
    if folder.exists() and not path.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no {GOALS_FILE}. Give a new folder.")
    fresh = {"camera": camera, "start": None if start is None else start.to_dict(), "goals": []}
    before = load_origin(folder) if path.exists() else None
    content = {**fresh, "provenance": provenance()} if before is None else read_json_object(path)
    if content["camera"] != camera and not (PHOTO in content["camera"] and PHOTO in camera):
        raise UserError(f"{folder} has images of another camera: {content['camera']}, now {camera}. Give a new folder.")
    there = [] if before is None else load_goals(folder)
    if before is not None and before.start != start:
        raise UserError(
            f"{folder} has goals of another episode: {_words(before.start)}, now {_words(start)}. Give a new folder."
        )
    if before is not None and start is not None:
        raise UserError(f"{folder} has all goals of that episode already: {_words(start)}. Give a new folder.")
    if len({goal.rgb.shape for goal in [*there, *goals]}) > 1:
        raise UserError(
            f"The goal images have different sizes: {[goal.rgb.shape for goal in [*there, *goals]]}. Take all with one "
            "camera."
        )
    for goal in goals:
        name = f"{len(content['goals']):02d}.png"
        check_replaceable(folder / name)
        write_image(folder / name, goal.rgb)
        state = None if goal.state is None else [float(number) for number in goal.state]
        content["goals"].append({"file": name, "name": goal.name, "steps": goal.steps, "state": state})
    write_json(path, content)


def load_goals(folder: Path) -> list[Goal]:
    """Read goals.

    Raises:
        UserError: The folder, an image or a field is missing or damaged, or the images differ in size.
    """
    folder = Path(folder)
    if not (folder / GOALS_FILE).is_file():
        raise UserError(f"{folder} holds no {GOALS_FILE}. `vjepa-sim capture-goal --out {folder}` takes goal images.")
    content = read_json_object(folder / GOALS_FILE)
    goals = []
    try:
        if len(content["goals"]) > MAX_GOALS:
            raise UserError(f"{folder}: {len(content['goals']):,} goals; an episode has {MAX_GOALS} at most.")
        for entry in content["goals"]:
            _check_steps(entry["steps"])
            path = _inside(folder, entry["file"])
            with open_image(path, str(path), KINDS) as image:
                rgb = np.array(to_rgb(image, str(path)))
            state = None if entry["state"] is None else np.array(entry["state"], np.float32)
            if state is not None and (state.shape != (7,) or not np.all(np.isfinite(state))):
                raise UserError(f"{folder}: the state of goal {entry['file']} isn't 7 finite numbers.")
            goals.append(Goal(rgb, entry["steps"], state, str(entry["name"])))
            if sum(goal.rgb.nbytes for goal in goals) > MAX_BYTES:
                raise UserError(f"{folder}: its images take more than {MAX_BYTES // 2**20} MB of memory. Reduce them.")
    except (OSError, KeyError, TypeError, ValueError, SyntaxError) as error:
        if isinstance(error, UserError):
            raise error if str(folder) in str(error) else UserError(f"{folder}: {error}") from error
        raise UserError(f"{folder}: its goals can't be read ({error!r}).") from error
    if not goals:
        raise UserError(f"{folder}: expected at least one goal.")
    if len({goal.rgb.shape for goal in goals}) > 1:
        raise UserError(f"{folder}: the goal images have different sizes: {[goal.rgb.shape for goal in goals]}.")
    return goals


def _check_steps(steps: int) -> None:
    """Raise :class:`.UserError` for steps that no goal in a folder may have."""
    check_steps(steps)
    if steps > MAX_STEPS:
        raise UserError(f"A goal of {steps:,} steps: {MAX_STEPS:,} is the most.")


def _inside(folder: Path, name: object) -> Path:
    """The path of a goal's image, which lies in the folder itself.

    Raises:
        UserError: The name leads elsewhere.
    """
    path = folder / str(name)
    if not isinstance(name, str) or path.name != name or path.resolve().parent != folder.resolve():
        raise UserError(
            f"{folder / GOALS_FILE}: {name!r} is no image in its folder. Give the name of a file beside it."
        )
    if not path.is_file():
        raise UserError(f"{path}: the image of a goal can't be read: there is no such file.")
    return path


def photo_goal(path: Path, steps: int, name: str = "goal") -> tuple[Goal, dict[str, Any]]:
    """A goal from a photo file, upright by its EXIF orientation, larger ones reduced to :data:`PHOTO_SIDE`.

    Args:
        path: JPEG or PNG file.
        steps: Control steps of the goal.
        name: Name of the goal.

    Returns:
        The goal, and the description of its camera; :func:`fit_photo` gives it the size of a robot's camera.

    Raises:
        UserError: The file is missing, of another format, damaged or too large.
    """
    with open_image(path, str(path), KINDS) as image:
        rgb = to_rgb(image, str(path))
    scale = min(1.0, PHOTO_SIDE / min(rgb.size))
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    return Goal(np.array(rgb.resize(size)), steps, None, name), {PHOTO: path.name}


def fit_photo(goal: Goal, height: int, width: int) -> Goal:
    """The goal with the centre of its image, cut and resized to the size of a camera's images."""
    from PIL import Image, ImageOps

    return replace(goal, rgb=np.array(ImageOps.fit(Image.fromarray(goal.rgb), (width, height))))


def load_origin(folder: Path) -> Origin:
    """Read where a folder's goals come from.

    Raises:
        UserError: The folder holds no goals, or its description is damaged.
    """
    path = Path(folder) / GOALS_FILE
    content = read_json_object(path)
    camera, start = content.get("camera"), content.get("start")
    if not isinstance(camera, dict):
        raise UserError(f"{path}: the camera that took the goals is missing.")
    try:
        return Origin(camera, None if start is None else Start.from_dict(start))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def fingerprint_goals(goals: list[Goal]) -> int:
    """A checksum (CRC-32) of images and steps, equal for two runs with the same goals."""
    checksum = 0
    for goal in goals:
        checksum = zlib.crc32(goal.rgb.tobytes(), zlib.crc32(f"{goal.rgb.shape} {goal.steps}".encode(), checksum))
    return checksum


def _words(start: Start | None) -> str:
    return "none of the simulator's" if start is None else f"{start.task}, {start.object_name}, seed {start.seed}"
