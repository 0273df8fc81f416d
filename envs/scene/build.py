"""Assemble the scene from its parts, compile it once, and keep it in a cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from envs.cache import cache_folder
from envs.engine import mujoco
from envs.errors import unknown_name
from envs.scene.arm import robosuite_spec, servo_arm, strip
from envs.scene.cameras import add_cameras
from envs.scene.gripper import couple_panda_hand, couple_robotiq
from envs.scene.mesh import simplify_meshes
from envs.scene.names import GRIPPERS, OBJECTS
from envs.scene.objects import add_box, add_cup, allow_any_object_size
from envs.scene.room import add_room

TIMESTEP = 0.005


def load_model(gripper: str, object_name: str) -> mujoco.MjModel:
    """A freshly loaded model of the scene, from the user's cache when it was built before.

    Args:
        gripper: one of :data:`GRIPPERS`.
        object_name: one of :data:`OBJECTS`.
    """
    if gripper not in GRIPPERS:
        raise unknown_name("gripper", gripper, GRIPPERS)
    if object_name not in OBJECTS:
        raise unknown_name("object", object_name, OBJECTS)
    path = cache_folder() / f"{gripper}-{object_name}-{_recipe_hash()}.mjb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        model = build_spec(gripper, object_name).compile()
        allow_any_object_size(model)
        # Written whole, then renamed: many processes may build at once.
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        os.close(handle)
        mujoco.mj_saveModel(model, partial)
        os.replace(partial, path)
    return mujoco.MjModel.from_binary_path(str(path))


def _recipe_hash() -> str:
    """Changes with everything the compiled scene depends on: versions and this folder's recipe."""
    digest = hashlib.sha256(f"{mujoco.__version__} {version('robosuite')}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def build_spec(gripper: str, object_name: str) -> mujoco.MjSpec:
    """Assemble the scene. Slow (seconds): use :func:`load_model`."""
    spec = robosuite_spec(gripper)
    strip(spec)
    spec.compiler.inertiagrouprange = [0, 1]  # the object is drawn in group 1 and has mass
    spec.option.timestep = TIMESTEP
    spec.option.impratio = 10
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    # The servos' damping is too stiff for an explicit integrator at this time step.
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    servo_arm(spec)
    if gripper == "robotiq":
        couple_robotiq(spec)
    else:
        couple_panda_hand(spec)
    add_room(spec)
    add_cameras(spec)
    if object_name == "box":
        add_box(spec)
    else:
        add_cup(spec)
    simplify_meshes(spec)
    return spec
