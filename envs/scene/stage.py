"""Application of a domain randomisation to a compiled model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.objects import resize_geom
from vjepa_sim.envs.part_checks import are_numbers
from vjepa_sim.envs.scene.build import OBJECT_BOUND
from vjepa_sim.envs.scene.names import (
    DISTRACTORS,
    FLOOR_GEOM,
    FLOOR_TEXTURES,
    LIGHT,
    OBJECT_BODY,
    TABLE_GEOM,
    TABLE_TEXTURES,
    WALL_GEOMS,
    WALL_TEXTURES,
)
from vjepa_sim.envs.scene.variation import DISTRACTOR_SHAPES, Variation

if TYPE_CHECKING:
    from vjepa_sim.envs.simulation.simulation import Simulation

SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}


class Stage:
    """Applies variations to a model, from which it keeps the nominal sizes."""

    def __init__(self, simulation: Simulation):
        self._simulation = simulation
        self._model = model = simulation.model
        self._body = model.body(OBJECT_BODY).id
        self._geoms = np.flatnonzero(model.geom_bodyid == self._body)
        self._positions = model.geom_pos[self._geoms].copy()
        self._sizes = model.geom_size[self._geoms].copy()
        self._inertia = model.body_inertia[self._body].copy()

    def apply(self, variation: Variation) -> None:
        """Change the model in place. Reset the simulation afterwards: sizes and inertias change."""
        model = self._model
        for name, viewpoint in variation.cameras.items():
            viewpoint.place(model, name)

        light = model.light(LIGHT).id
        direction = np.array(variation.light_direction)
        model.light_dir[light] = direction / np.linalg.norm(direction)
        model.light_diffuse[light] = variation.light_color
        model.vis.headlight.ambient[:] = variation.ambient

        # The renderer copies textures when it is created, so materials are changed and not textures.
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
                model.geom_type[geom] = SHAPES[DISTRACTOR_SHAPES[thing.shape]]
                size = (thing.size[0], thing.size[2], 0) if DISTRACTOR_SHAPES[thing.shape] == "cylinder" else thing.size
                model.geom_pos[geom], model.geom_size[geom] = thing.position, size
                model.geom_rgba[geom] = [*thing.color, 1]
                model.geom_rbound[geom] = np.linalg.norm(thing.size)
            else:
                model.geom_rgba[geom] = 0
        self._resize_object(np.array(variation.object_scale))
        model.geom_rgba[self._geoms, :3] = variation.object_color or self._simulation.object.color

    def _resize_object(self, scale: np.ndarray) -> None:
        """Scale sizes, positions and inertia of the object, and the bounds that MuJoCo finds contacts with."""
        model, thing = self._model, self._simulation.object
        if thing.round:
            scale = np.array([scale[0], scale[0], scale[2]])
        resize = thing.resize or resize_geom
        for geom, position, size in zip(self._geoms, self._positions, self._sizes, strict=True):
            model.geom_pos[geom] = position * scale
            with naming_part(f"Object {thing.name!r}", resize):
                resized = resize(int(model.geom_type[geom]), size, scale)
            if not are_numbers(resized, 3, low=0):
                raise UserError(
                    f"resize of object {thing.name!r} returned {resized!r:.80}; expected 3 sizes in metres."
                )
            model.geom_size[geom] = resized
            half = _half_sizes(int(model.geom_type[geom]), model.geom_size[geom])
            model.geom_aabb[geom] = [0, 0, 0, *half]
            model.geom_rbound[geom] = np.linalg.norm(half)
            if np.linalg.norm(model.geom_pos[geom]) + model.geom_rbound[geom] > OBJECT_BOUND:
                raise UserError(
                    f"object_scale {tuple(scale)} makes the object larger than {OBJECT_BOUND} m from its centre."
                )
        model.body_inertia[self._body] = self._inertia * float(np.mean(scale**2))
        self._simulation.object_half_height = thing.half_height * float(scale[2])
        mujoco.mj_setConst(model, mujoco.MjData(model))


def _half_sizes(kind: int, size: np.ndarray) -> np.ndarray:
    """Half edges [3] of the box around a geom of a MuJoCo type."""
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return size[[0, 0, 1]]
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return np.array([size[0], size[0], size[0] + size[1]])
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return size[[0, 0, 0]]
    return size
