"""Assemble the scene from its parts, compile it once, and keep it in a cache."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from vjepa_sim.envs.arms import ArmSpec
from vjepa_sim.envs.cache import cache_folder, load, save
from vjepa_sim.envs.engine import mujoco
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.grippers import GripperSpec
from vjepa_sim.envs.objects import ObjectSpec
from vjepa_sim.envs.scene.arm import asset_files, check_names, mount_gripper, robosuite_spec, servo_arm, strip
from vjepa_sim.envs.scene.cameras import CAMERAS, add_cameras
from vjepa_sim.envs.scene.mesh import simplify_meshes
from vjepa_sim.envs.scene.names import OBJECT_BODY, OBJECT_JOINT
from vjepa_sim.envs.scene.room import add_room

TIMESTEP = 0.005
OBJECT_BOUND = 0.12  # metres; largest distance of a randomised object's surface from its centre
ENVS = Path(__file__).parents[1]
log = logging.getLogger(__name__)
PARTS = ("scene", "arms", "grippers", "objects")  # folders whose code builds scenes


def load_model(arm: ArmSpec, gripper: GripperSpec, thing: ObjectSpec) -> mujoco.MjModel:
    """The model of a scene, newly loaded; from the user's cache if it was built before."""
    name = "-".join(part.name for part in (arm, gripper, thing))
    path = cache_folder() / f"{name}-{_recipe_hash(arm, gripper, thing)}.mjb"
    model = _cached(path)
    if model is not None:
        return model
    spec, files = build_spec(arm, gripper, thing)
    built = _compiled(spec, f"The scene of arm {arm.name!r}, gripper {gripper.name!r} and object {thing.name!r}")
    _allow_any_object_size(built)
    binary = np.empty(mujoco.mj_sizeModel(built), np.uint8)
    mujoco.mj_saveModel(built, None, binary)
    header = json.dumps({str(file): _file_hash(*_version_of(file)) for file in files})
    try:
        save(path, header.encode() + b"\n" + binary.tobytes())
    except OSError as error:
        _warn_once(path.parent, error.strerror or str(error))
    return _from_binary(binary.tobytes())


def _cached(path: Path) -> mujoco.MjModel | None:
    """The model in a file of the cache; None if it can't be read, or what it was made of has changed."""
    header, _, binary = (load(path) or b"").partition(b"\n")
    if not binary:
        return None
    try:
        if any(_file_hash(*_version_of(Path(file))) != digest for file, digest in json.loads(header).items()):
            return None
        return _from_binary(binary)
    except (OSError, ValueError, mujoco.FatalError):  # a file is gone; or another build of this version of MuJoCo
        return None


def _from_binary(binary: bytes) -> mujoco.MjModel:
    return mujoco.MjModel.from_binary_path("scene.mjb", {"scene.mjb": binary})


def _version_of(file: Path) -> tuple[Path, int, int]:
    """A file with its size and time of change."""
    found = file.stat()
    return file, found.st_size, found.st_mtime_ns


@cache
def _file_hash(file: Path, size: int, changed: int) -> str:
    """Hash of a file's bytes, computed once for each version of it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _warn_once(folder: Path, reason: str) -> None:
    log.warning(
        "Compiled scenes can't be kept in %s (%s), so the simulator starts some seconds later each time. Make room "
        "there, or set XDG_CACHE_HOME to a folder that can be written.",
        folder,
        reason,
    )


def _recipe_hash(arm: ArmSpec, gripper: GripperSpec, thing: ObjectSpec) -> str:
    """Hash of everything that the compiled scene depends on and that is known before it is built.

    These are versions, source files, the parts, and the object as its function makes it now. The files of robosuite
    and others are compared when a cached scene is read.
    """
    digest = hashlib.sha256(f"{mujoco.__version__} {version('robosuite')}".encode())
    for source in [ENVS / "pose.py", *(each for folder in PARTS for each in sorted((ENVS / folder).glob("*.py")))]:
        digest.update(source.read_bytes())
    for part in (arm, gripper, thing, *CAMERAS.values()):
        for field, value in vars(part).items():
            digest.update(f"{field} {_field_text(value)} ".encode())
    alone = mujoco.MjSpec()
    _add_object(alone, thing)
    _compiled(alone, f"Object {thing.name!r}")
    digest.update(alone.to_xml().encode())
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


def build_spec(arm: ArmSpec, gripper: GripperSpec, thing: ObjectSpec) -> tuple[mujoco.MjSpec, list[Path]]:
    """Assemble the scene, and list the files that it is made of. Slow (seconds): use :func:`load_model`."""
    spec, files = robosuite_spec(arm, gripper)
    check_names(spec, arm, gripper)
    strip(spec, arm)
    spec.compiler.inertiagrouprange = [0, 1]  # the drawn geoms of the object are in group 1 and have mass
    spec.option.timestep = TIMESTEP
    spec.option.impratio = 10
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    # The servos' damping is too stiff for an explicit integrator at this time step.
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    servo_arm(spec, arm)
    mount_gripper(spec, arm, gripper)
    with naming_part(f"Gripper {gripper.name!r}", gripper.couple):
        gripper.couple(spec)
    added = len(spec.actuators) - len(arm.joints)
    if added != 1:
        raise UserError(f"couple() of gripper {gripper.name!r} has added {added} actuators; expected one.")
    add_room(spec)
    add_cameras(spec)
    _add_object(spec, thing)
    files += asset_files(spec)
    simplify_meshes(spec)
    return spec, sorted(set(files))


def _add_object(spec: mujoco.MjSpec, thing: ObjectSpec) -> None:
    """Add the object as a free body whose origin is its centre."""
    body = spec.worldbody.add_body(name=OBJECT_BODY, pos=[0.45, 0, thing.half_height])
    body.add_freejoint(name=OBJECT_JOINT)
    with naming_part(f"Object {thing.name!r}", thing.add_geoms):
        thing.add_geoms(body)


def _compiled(spec: mujoco.MjSpec, what: str) -> mujoco.MjModel:
    """The compiled model; ``what`` it is of, in words."""
    try:
        return spec.compile()
    except ValueError as error:
        raise UserError(f"{what} can't be compiled by MuJoCo: {' '.join(str(error).split())}") from error


def _allow_any_object_size(model: mujoco.MjModel) -> None:
    """Enlarge the object's bounding boxes for all randomised sizes.

    MuJoCo computes bounding volumes at compile time; a geom larger than its volume loses contacts and sinks.
    """
    body = model.body(OBJECT_BODY)
    first, count = int(model.body_bvhadr[body.id]), int(model.body_bvhnum[body.id])
    model.bvh_aabb[first : first + count] = [0, 0, 0, OBJECT_BOUND, OBJECT_BOUND, OBJECT_BOUND]
