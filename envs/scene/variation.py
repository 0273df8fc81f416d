"""Domain randomisation: one seeded sample of cameras, light, textures, colours, sizes and distractors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.scene.cameras import CAMERAS, LEFT, CameraSpec, Viewpoint
from vjepa_sim.envs.scene.names import DISTRACTORS, FLOOR_TEXTURES, TABLE_TEXTURES, WALL_TEXTURES

ZOOM = 2.0  # degrees, largest change of a camera's field of view at full strength
DISTRACTOR_SHAPES = ("box", "cylinder", "ellipsoid")


@dataclass(frozen=True)
class Distractor:
    """A visible body on the table that collides with nothing.

    Attributes:
        shape: index into :data:`DISTRACTOR_SHAPES`.
        position: centre [3], metres, base frame.
        size: MuJoCo half sizes [3], metres.
        color: red, green, blue in 0..1.
    """

    shape: int
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    color: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Appearance of one episode, nominal by default. Directions are in the base frame, colours in 0..1."""

    cameras: dict[str, Viewpoint] = field(default_factory=lambda: nominal_cameras(LEFT.viewpoint))
    light_direction: tuple[float, float, float] = (-0.3, -0.3, -1.0)
    light_color: tuple[float, float, float] = (0.55, 0.55, 0.55)
    ambient: float = 0.35
    table_texture: int = 0
    wall_texture: int = 0
    floor_texture: int = 0
    table_tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    object_color: tuple[float, float, float] | None = None  # None: the object's own
    object_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    distractors: tuple[Distractor, ...] = field(default=())


def nominal_cameras(left: Viewpoint) -> dict[str, Viewpoint]:
    """The viewpoint of every camera by name, the agents' own (``left``) at a given one."""
    return {name: left if camera is LEFT else camera.viewpoint for name, camera in CAMERAS.items()}


# Fields of a variation that are randomised together, by aspect.
ASPECTS = {
    "camera": ("cameras",),
    "light": ("light_direction", "light_color", "ambient"),
    "textures": ("table_texture", "wall_texture", "floor_texture", "table_tint"),
    "color": ("object_color",),
    "size": ("object_scale",),
    "distractors": ("distractors",),
}


def check_aspects(aspects: Iterable[str]) -> None:
    """Raise :class:`.UserError` for what isn't a tuple of names in :data:`ASPECTS`."""
    if isinstance(aspects, str):
        raise UserError(
            f"vary={aspects!r}: expected a tuple of aspects of domain randomisation, such as ({aspects!r},)."
        )
    for aspect in aspects:
        if aspect not in ASPECTS:
            raise unknown_name("aspect of domain randomisation", aspect, ASPECTS)


def check_strength(strength: object) -> None:
    """Raise :class:`.UserError` for a strength of domain randomisation that is no number from 0 to 1."""
    if not isinstance(strength, (int, float, np.number)) or not 0 <= strength <= 1:
        raise UserError(
            f"randomize={strength!r} is no number from 0 to 1: 0 is the nominal appearance, 1 the full randomisation."
        )


def sample_variation(
    rng: np.random.Generator, strength: float, left: Viewpoint = LEFT.viewpoint, aspects: Iterable[str] = ASPECTS
) -> Variation:
    """Sample an appearance.

    Args:
        rng: random number generator.
        strength: 0 for the nominal appearance, 1 for the full range; in between, ranges are narrower and changes of
            texture and colour rarer.
        left: viewpoint of the left camera, before randomisation.
        aspects: what varies, of :data:`ASPECTS`; the rest is nominal. The samples of an aspect do not depend on it.

    Raises:
        UserError: the strength is outside 0..1, or an aspect is unknown.
    """
    check_aspects(aspects)
    full = _sample_all(rng, strength, left)
    varied = {name: getattr(full, name) for aspect in aspects for name in ASPECTS[aspect]}
    return replace(Variation(cameras=nominal_cameras(left)), **varied)


def _sample_all(rng: np.random.Generator, strength: float, left: Viewpoint) -> Variation:
    check_strength(strength)
    nominal = Variation()

    def jitter(center: ArrayLike, width: float, rng: np.random.Generator = rng) -> tuple[float, float, float]:
        x, y, z = (np.asarray(center) + strength * rng.uniform(-width, width, 3)).tolist()
        return x, y, z

    def move(viewpoint: Viewpoint, camera: CameraSpec, rng: np.random.Generator = rng) -> Viewpoint:
        offset = jitter(np.zeros(3), camera.shift, rng)
        # Three samples, of which two are used, so that a seed gives the same scene as in earlier versions.
        pan, tilt, _ = strength * camera.turn * rng.uniform(-1, 1, 3)
        fovy = viewpoint.fovy + strength * rng.uniform(-ZOOM, ZOOM)
        return replace(viewpoint.moved(offset, float(pan), float(tilt)), fovy=fovy)

    def swap(count: int) -> int:
        return int(rng.integers(count)) if rng.random() < strength else 0

    color = jitter(rng.uniform(0.1, 0.9, 3), 0.0) if rng.random() < strength else None
    width, depth, height = 1 + strength * rng.uniform(-0.12, 0.12, 3)
    distractors = tuple(_sample_distractor(rng) for _ in range(round(strength * rng.integers(0, len(DISTRACTORS) + 1))))
    # The other cameras have a generator of their own, so that a seed gives the same numbers without them.
    child = rng.spawn(1)[0]
    cameras = {LEFT.name: move(left, LEFT)}
    cameras |= {name: move(camera.viewpoint, camera, child) for name, camera in CAMERAS.items() if name not in cameras}
    return Variation(
        cameras=cameras,
        light_direction=jitter(nominal.light_direction, 0.4),
        light_color=jitter(nominal.light_color, 0.15),
        ambient=nominal.ambient + strength * rng.uniform(-0.1, 0.1),
        table_texture=swap(len(TABLE_TEXTURES)),
        wall_texture=swap(len(WALL_TEXTURES)),
        floor_texture=swap(len(FLOOR_TEXTURES)),
        table_tint=tuple(np.clip(jitter((0.9, 0.9, 0.9), 0.1), 0, 1).tolist()) if strength else nominal.table_tint,
        object_color=color,
        object_scale=(float(width), float(depth), float(height)),
        distractors=distractors,
    )


def _sample_distractor(rng: np.random.Generator) -> Distractor:
    """A distractor near the edge of the table, outside of the task's workspace."""
    size = rng.uniform(0.012, 0.035, 3)
    side = rng.random()
    if side < 0.4:  # behind the workspace, seen from the camera
        x, y = rng.uniform(0.30, 0.75), rng.uniform(-0.50, -0.28)
    elif side < 0.7:
        x, y = rng.uniform(0.68, 0.80), rng.uniform(-0.30, 0.20)
    else:
        x, y = rng.uniform(0.10, 0.25), rng.uniform(0.20, 0.45)
    return Distractor(
        shape=int(rng.integers(len(DISTRACTOR_SHAPES))),
        position=(float(x), float(y), float(size[2])),
        size=tuple(size.tolist()),
        color=tuple(rng.uniform(0.1, 0.9, 3).tolist()),
    )
