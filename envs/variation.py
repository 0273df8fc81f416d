"""Domain randomisation: one seeded draw of cameras, light, textures, colours, sizes and distractors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from envs.engine import mujoco
from envs.errors import UserError, unknown_name
from envs.scene.cameras import LEFT, RIGHT, WRIST, Viewpoint
from envs.scene.names import CAMERAS, DISTRACTORS, FLOOR_GEOM, LIGHT, OBJECT_BODY, TABLE_GEOM, WALL_GEOMS
from envs.scene.objects import OBJECT_BOUND
from envs.scene.room import FLOOR_TEXTURES, TABLE_TEXTURES, WALL_TEXTURES

OBJECT_COLORS = {"box": (0.75, 0.20, 0.15), "cup": (0.15, 0.35, 0.75)}
# How far cameras are off at full strength: metres along each axis, degrees to the side and upward, degrees of fovy.
SHIFT, TURN, ZOOM = 0.05, 5.0, 2.0
WRIST_SHIFT, WRIST_TURN = 0.004, 3.0
DISTRACTOR_SHAPES = (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_ELLIPSOID)


@dataclass(frozen=True)
class Distractor:
    """A thing on the table that is seen but never touched.

    Attributes:
        shape: index into :data:`DISTRACTOR_SHAPES`.
        position: centre [3], metres.
        size: MuJoCo half sizes [3], metres.
        color: red, green, blue in 0..1.
    """

    shape: int
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    color: tuple[float, float, float]


@dataclass(frozen=True)
class Variation:
    """How one episode looks. Positions in metres, base frame; colours in 0..1; the defaults are the nominal look."""

    left: Viewpoint = LEFT
    right: Viewpoint = RIGHT
    wrist: Viewpoint = WRIST
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


# What can vary alone: fields of a variation.
ASPECTS = {
    "camera": ("left", "right", "wrist"),
    "light": ("light_direction", "light_color", "ambient"),
    "textures": ("table_texture", "wall_texture", "floor_texture", "table_tint"),
    "color": ("object_color",),
    "size": ("object_scale",),
    "distractors": ("distractors",),
}


def check_aspects(aspects: Iterable[str]) -> None:
    """Raise :class:`UserError` for a name that is not in :data:`ASPECTS`."""
    for aspect in aspects:
        if aspect not in ASPECTS:
            raise unknown_name("aspect of the look", aspect, ASPECTS)


def sample_variation(
    rng: np.random.Generator, strength: float, left: Viewpoint = LEFT, aspects: Iterable[str] = ASPECTS
) -> Variation:
    """Draw a look.

    Args:
        rng: the source of all randomness.
        strength: 0 gives the nominal look, 1 the full range; in between, ranges shrink and swaps become rarer.
        left: where the left camera is, give or take the randomisation.
        aspects: what varies, of :data:`ASPECTS`; the rest is nominal. It doesn't change what is drawn.

    Raises:
        UserError: strength outside 0..1, or an unknown aspect.
    """
    check_aspects(aspects)
    drawn = _sample_all(rng, strength, left)
    varied = {name: getattr(drawn, name) for aspect in aspects for name in ASPECTS[aspect]}
    return replace(Variation(left=left), **varied)


def _sample_all(rng: np.random.Generator, strength: float, left: Viewpoint) -> Variation:
    if not isinstance(strength, (int, float, np.number)) or not 0 <= strength <= 1:
        raise UserError(
            f"randomize={strength!r} is no number from 0 to 1: 0 is the nominal look, 1 the full randomisation."
        )
    nominal = Variation()

    def jitter(center: object, width: float, rng: np.random.Generator = rng) -> tuple[float, ...]:
        return tuple((np.asarray(center) + strength * rng.uniform(-width, width, np.shape(center))).tolist())

    def move(view: Viewpoint, width: float, turn: float, rng: np.random.Generator = rng) -> Viewpoint:
        offset = jitter(np.zeros(3), width, rng)
        # Three were always drawn: a seed's scene stays what it was.
        pan, tilt, _ = strength * turn * rng.uniform(-1, 1, 3)
        fovy = view.fovy + strength * rng.uniform(-ZOOM, ZOOM)
        return replace(view.moved(offset, float(pan), float(tilt)), fovy=fovy)

    def swap(count: int) -> int:
        return int(rng.integers(count)) if rng.random() < strength else 0

    color = jitter(rng.uniform(0.1, 0.9, 3), 0.0) if rng.random() < strength else None
    width, depth, height = 1 + strength * rng.uniform(-0.12, 0.12, 3)
    distractors = tuple(_sample_distractor(rng) for _ in range(round(strength * rng.integers(0, len(DISTRACTORS) + 1))))
    # A stream of their own: the numbers that a seed gave before there were these cameras stay what they were.
    child = rng.spawn(1)[0]
    return Variation(
        left=move(left, SHIFT, TURN),
        right=move(nominal.right, SHIFT, TURN, child),
        wrist=move(nominal.wrist, WRIST_SHIFT, WRIST_TURN, child),
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
    """Somewhere on the table's rim, outside the space the task uses."""
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


class Stage:
    """Applies variations to a model; remembers the nominal sizes that they scale."""

    def __init__(self, model: mujoco.MjModel, object_name: str):
        self._model = model
        self._color = OBJECT_COLORS[object_name]
        self._round = object_name == "cup"
        self._body = model.body(OBJECT_BODY).id
        self._geoms = np.flatnonzero(model.geom_bodyid == self._body)
        self._positions = model.geom_pos[self._geoms].copy()
        self._sizes = model.geom_size[self._geoms].copy()
        self._inertia = model.body_inertia[self._body].copy()

    def apply(self, variation: Variation) -> None:
        """Change the model in place. Call before the simulation is reset: sizes and inertias change."""
        model = self._model
        for name in CAMERAS:
            getattr(variation, name).place(model, name)

        light = model.light(LIGHT).id
        direction = np.array(variation.light_direction)
        model.light_dir[light] = direction / np.linalg.norm(direction)
        model.light_diffuse[light] = variation.light_color
        model.vis.headlight.ambient[:] = variation.ambient

        # The renderer copies textures when it is made, so materials are swapped and not textures.
        table = model.geom(TABLE_GEOM).id
        model.geom_matid[table] = model.material(f"table-{TABLE_TEXTURES[variation.table_texture]}").id
        model.mat_rgba[model.geom_matid[table], :3] = variation.table_tint
        model.geom_matid[model.geom(FLOOR_GEOM).id] = model.material(
            f"floor-{FLOOR_TEXTURES[variation.floor_texture]}"
        ).id
        for name in WALL_GEOMS:
            model.geom_matid[model.geom(name).id] = model.material(f"wall-{WALL_TEXTURES[variation.wall_texture]}").id

        for slot, name in enumerate(DISTRACTORS):
            geom = model.geom(name).id
            if slot < len(variation.distractors):
                thing = variation.distractors[slot]
                model.geom_type[geom] = DISTRACTOR_SHAPES[thing.shape]
                size = (thing.size[0], thing.size[2], 0) if thing.shape == 1 else thing.size
                model.geom_pos[geom], model.geom_size[geom] = thing.position, size
                model.geom_rgba[geom] = [*thing.color, 1]
                model.geom_rbound[geom] = np.linalg.norm(thing.size)
            else:
                model.geom_rgba[geom] = 0
        self._resize_object(np.array(variation.object_scale))
        model.geom_rgba[self._geoms, :3] = variation.object_color or self._color

    def _resize_object(self, scale: np.ndarray) -> None:
        """Scale sizes, places and inertia, and with them the bounds by which MuJoCo finds contacts."""
        model = self._model
        if self._round:
            scale = np.array([scale[0], scale[0], scale[2]])
        for geom, position, size in zip(self._geoms, self._positions, self._sizes, strict=True):
            model.geom_pos[geom] = position * scale
            if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CYLINDER:
                model.geom_size[geom] = size * [scale[0], scale[2], 1]
                half = model.geom_size[geom][[0, 0, 1]]
            else:
                thin = np.array([1, scale[0], scale[2]]) if self._round else scale
                model.geom_size[geom] = half = size * thin
            model.geom_aabb[geom] = [0, 0, 0, *half]
            model.geom_rbound[geom] = np.linalg.norm(half)
            if np.linalg.norm(model.geom_pos[geom]) + model.geom_rbound[geom] > OBJECT_BOUND:
                raise UserError(
                    f"object_scale {tuple(scale)} makes the object larger than {OBJECT_BOUND} m from its centre."
                )
        model.body_inertia[self._body] = self._inertia * float(np.mean(scale**2))
        mujoco.mj_setConst(model, mujoco.MjData(model))
