"""Assemble the scene from its parts, compile it once, and keep it in a cache."""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vjepa_sim.envs.arms import ArmSpec
from vjepa_sim.envs.cache import cache_folder
from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.grippers import GripperSpec
from vjepa_sim.envs.objects import ObjectSpec
from vjepa_sim.envs.scene.arm import mount_gripper, robosuite_spec, servo_arm, strip
from vjepa_sim.envs.scene.cameras import CAMERAS, add_cameras
from vjepa_sim.envs.scene.mesh import simplify_meshes
from vjepa_sim.envs.scene.names import OBJECT_BODY, OBJECT_JOINT
from vjepa_sim.envs.scene.room import add_room

TIMESTEP = 0.005
OBJECT_BOUND = 0.12  # metres; largest distance of a randomised object's surface from its centre
ENVS = Path(__file__).parents[1]


def load_model(arm: ArmSpec, gripper: GripperSpec, thing: ObjectSpec) -> mujoco.MjModel:
    """The model of a scene, newly loaded; from the user's cache if it was built before."""
    name = "-".join(part.name for part in (arm, gripper, thing))
    path = cache_folder() / f"{name}-{_recipe_hash(arm, gripper, thing)}.mjb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        model = build_spec(arm, gripper, thing).compile()
        _allow_any_object_size(model)
        # Written to a temporary file, then renamed: several processes may build at once.
        handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        os.close(handle)
        mujoco.mj_saveModel(model, unfinished)
        os.replace(unfinished, path)
    return mujoco.MjModel.from_binary_path(str(path))


def _recipe_hash(arm: ArmSpec, gripper: GripperSpec, thing: ObjectSpec) -> str:
    """Hash of everything that the compiled scene depends on: versions, source files, and the parts."""
    digest = hashlib.sha256(f"{mujoco.__version__} {version('robosuite')}".encode())
    for folder in ("scene", "arms", "grippers", "objects"):
        for source in sorted((ENVS / folder).glob("*.py")):
            digest.update(source.read_bytes())
    for part in (arm, gripper, thing, *CAMERAS.values()):
        for field, value in vars(part).items():
            digest.update(f"{field} {_field_text(value)} ".encode())
    return digest.hexdigest()[:16]


def _field_text(value: object) -> str:
    """A field of a part as text; a function as the text of its source file, if it has one."""
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    if isinstance(value, partial):
        return " ".join(map(_field_text, (value.func, value.args, value.keywords)))
    if isinstance(value, Callable):
        source = inspect.getsourcefile(value if inspect.isroutine(value) else type(value))
        return Path(source).read_text() if source else getattr(value, "__qualname__", repr(value))
    return repr(value)


def build_spec(arm: ArmSpec, gripper: GripperSpec, thing: ObjectSpec) -> mujoco.MjSpec:
    """Assemble the scene. Slow (seconds): use :func:`load_model`."""
    spec = robosuite_spec(arm, gripper)
    strip(spec, arm)
    spec.compiler.inertiagrouprange = [0, 1]  # the drawn geoms of the object are in group 1 and have mass
    spec.option.timestep = TIMESTEP
    spec.option.impratio = 10
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    # The servos' damping is too stiff for an explicit integrator at this time step.
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    servo_arm(spec, arm)
    mount_gripper(spec, arm, gripper)
    gripper.couple(spec)
    add_room(spec)
    add_cameras(spec)
    _add_object(spec, thing)
    simplify_meshes(spec)
    return spec


def _add_object(spec: mujoco.MjSpec, thing: ObjectSpec) -> None:
    """Add the object as a free body whose origin is its centre."""
    body = spec.worldbody.add_body(name=OBJECT_BODY, pos=[0.45, 0, thing.half_height])
    body.add_freejoint(name=OBJECT_JOINT)
    thing.add_geoms(body)


def _allow_any_object_size(model: mujoco.MjModel) -> None:
    """Enlarge the object's bounding boxes for all randomised sizes.

    MuJoCo computes bounding volumes at compile time; a geom larger than its volume loses contacts and sinks.
    """
    body = model.body(OBJECT_BODY)
    first, count = int(model.body_bvhadr[body.id]), int(model.body_bvhnum[body.id])
    model.bvh_aabb[first : first + count] = [0, 0, 0, OBJECT_BOUND, OBJECT_BOUND, OBJECT_BOUND]
