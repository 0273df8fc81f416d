"""Table, walls, floor and light of the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.scene.names import (
    DISTRACTORS,
    FLOOR_GEOM,
    FLOOR_TEXTURES,
    LIGHT,
    TABLE,
    TABLE_GEOM,
    TABLE_TEXTURES,
    WALL_GEOMS,
    WALL_TEXTURES,
)

TEXTURE_PIXELS = 256
UNUSED_MATERIALS = ("floorplane", "walls_mat")  # of robosuite's arena, replaced above


def add_room(spec: mujoco.MjSpec) -> None:
    """Add a table with its top at z = 0, a floor and walls, one light, and hidden distractors."""
    world = spec.worldbody
    for geom in world.geoms:
        geom.pos = np.asarray(geom.pos) - [0, 0, 0.75]
        geom.contype = geom.conaffinity = 0
    for kind, names in (("table", TABLE_TEXTURES), ("wall", WALL_TEXTURES), ("floor", FLOOR_TEXTURES)):
        for name in names:
            _add_material(spec, f"{kind}-{name}", name, repeat=1.0 if kind == "floor" else 1.5)
    spec.geom(FLOOR_GEOM).material = f"floor-{FLOOR_TEXTURES[0]}"
    for name in WALL_GEOMS:
        spec.geom(name).material = f"wall-{WALL_TEXTURES[0]}"
    for material in UNUSED_MATERIALS:  # their textures take half of the time in which OpenGL starts
        texture = spec.material(material).textures[mujoco.mjtTextureRole.mjTEXROLE_RGB]
        spec.delete(spec.material(material))
        spec.delete(spec.texture(texture))
    world.add_geom(
        name=TABLE_GEOM,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.55, 0.75, 0.03],
        pos=[0.30, 0, -0.03],
        material=f"table-{TABLE_TEXTURES[0]}",
        contype=0,
        conaffinity=0,
        group=1,
    )
    # Objects stand on a plane: contacts with it are exact and cheap.
    world.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[2, 2, 0.1],
        contype=TABLE[0],
        conaffinity=TABLE[1],
        friction=[1.0, 0.005, 0.0001],
        group=3,
    )
    for name in DISTRACTORS:
        world.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.02, 0.02, 0.02],
            pos=[0, 0, -1],
            rgba=[0, 0, 0, 0],
            contype=0,
            conaffinity=0,
            group=1,
        )
    world.add_light(
        name=LIGHT,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.5, 0.5, 1.5],
        dir=[-0.3, -0.3, -1],
        diffuse=[0.55] * 3,
        specular=[0.1] * 3,
        castshadow=False,
    )
    spec.visual.headlight.ambient = [0.35] * 3
    spec.visual.headlight.diffuse = [0.35] * 3
    spec.visual.headlight.specular = [0.0] * 3
    spec.visual.map.znear = 0.01
    spec.visual.global_.offwidth = spec.visual.global_.offheight = 1024
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0  # no light casts shadows


def _add_material(spec: mujoco.MjSpec, name: str, texture: str, repeat: float) -> None:
    """Add a material with one of robosuite's textures, at a smaller size to save memory."""
    import robosuite.models
    from PIL import Image

    path = Path(robosuite.models.assets_root) / "textures" / f"{texture}.png"
    image = Image.open(path).convert("RGB").resize((TEXTURE_PIXELS, TEXTURE_PIXELS), Image.Resampling.LANCZOS)
    element = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=TEXTURE_PIXELS, height=TEXTURE_PIXELS, nchannel=3
    )
    element.data = image.tobytes()
    material = spec.add_material(name=name, texuniform=True, texrepeat=[repeat, repeat], specular=0.05, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
