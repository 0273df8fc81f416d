"""The scene: robosuite's Franka and gripper, a table, an object, a camera; compiled once and kept in a cache.

World frame = robot base frame: x forward, y left, z up, table top at z = 0. The arm stands on the table.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from envs.engine import mujoco
from envs.errors import unknown_name
from envs.mesh import decimate

GRIPPERS = ("robotiq", "panda_hand")
OBJECTS = ("cup", "box")

ARM_JOINTS = tuple(f"robot0_joint{i}" for i in range(1, 8))
FLANGE_SITE = "flange"
OBJECT_BODY = "object"
OBJECT_JOINT = "object_joint"
TABLE_GEOM = "table"
CAMERA = "left"
LIGHT = "key"
WALL_GEOMS = (
    "wall_leftcorner_visual",
    "wall_rightcorner_visual",
    "wall_left_visual",
    "wall_right_visual",
    "wall_rear_visual",
    "wall_front_visual",
)
FLOOR_GEOM = "floor"

# DROID's "left" place: in front of the arm and to its left, so that neither finger hides the object.
CAMERA_POSITION = np.array([0.90, 0.62, 0.52])
CAMERA_TARGET = np.array([0.46, 0.00, 0.13])
CAMERA_FOVY = 38.0

TABLE_TEXTURES = (
    "light-wood",
    "dark-wood",
    "red-wood",
    "blue-wood",
    "green-wood",
    "gray-woodgrain",
    "ceramic",
    "gray-felt",
)
WALL_TEXTURES = ("light-gray-plaster", "cream-plaster", "pink-plaster", "yellow-plaster", "white-bricks")
FLOOR_TEXTURES = ("light-gray-floor-tile", "wood-tiles", "wood-varnished-panels")
TEXTURE_PIXELS = 256
DISTRACTORS = tuple(f"distractor{i}" for i in range(4))

TIMESTEP = 0.005

# Who touches whom, as (contype, conaffinity): the robot meets table and object, never itself; the table meets both.
ROBOT, TABLE = (1, 2), (2, 0)
MEETS_ROBOT, MEETS_TABLE, MEETS_BOTH = (0, 1), (0, 2), (0, 3)

BOX_HALF_SIZE = np.array([0.021, 0.021, 0.027])
CUP_RADIUS, CUP_HEIGHT, CUP_WALL = 0.030, 0.080, 0.003
CUP_BOTTOM = 0.004  # m, half the thickness
CUP_SIDES = 16
OBJECT_BOUND = 0.12  # metres; no randomised object is larger than this, seen from its centre

# Position servos on the joints: stiffness [Nm/rad], damping [Nms/rad], torque limit [Nm].
# Stiff, so that a full 7.5 cm step ends within 2 mm of its target.
SERVO_STIFFNESS = np.array([8000.0, 8000.0, 7000.0, 7000.0, 4000.0, 4000.0, 3000.0])
SERVO_DAMPING = np.array([310.0, 310.0, 255.0, 255.0, 100.0, 100.0, 70.0])
SERVO_TORQUE = np.array([87.0, 87.0, 87.0, 87.0, 60.0, 60.0, 60.0])
JOINT_ARMATURE = 0.3

# Stiff, damped finger pads: the softer default lets a held object creep 7 mm in twenty moves.
PAD_SOLREF = [-10000.0, -300.0]
PAD_FRICTION = [2.0, 0.05, 0.0001]


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
        _allow_any_object_size(model)
        # Written whole, then renamed: many processes may build at once.
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        os.close(handle)
        mujoco.mj_saveModel(model, partial)
        os.replace(partial, path)
    return mujoco.MjModel.from_binary_path(str(path))


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vjepa-sim`` or ``~/.cache/vjepa-sim``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vjepa-sim"


def _recipe_hash() -> str:
    """Changes with everything the compiled scene depends on: versions and this folder's recipe."""
    digest = hashlib.sha256(f"{mujoco.__version__} {version('robosuite')}".encode())
    for source in (__file__, Path(__file__).with_name("mesh.py")):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:16]


def build_spec(gripper: str, object_name: str) -> mujoco.MjSpec:
    """Assemble the scene. Slow (seconds): use :func:`load_model`."""
    spec = _robosuite_spec(gripper)
    _strip(spec)
    spec.compiler.inertiagrouprange = [0, 1]  # the object is drawn in group 1 and has mass
    spec.option.timestep = TIMESTEP
    spec.option.impratio = 10
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    # The servos' damping is too stiff for an explicit integrator at this time step.
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    _servo_arm(spec)
    if gripper == "robotiq":
        _couple_robotiq(spec)
    else:
        _couple_panda_hand(spec)
    _add_room(spec)
    if object_name == "box":
        _add_box(spec)
    else:
        _add_cup(spec)
    _simplify_meshes(spec)
    return spec


# --- robosuite's part -----------------------------------------------------------------------------------------


def _robosuite_spec(gripper: str) -> mujoco.MjSpec:
    """Arm, gripper and room as robosuite assembles them."""
    # robosuite prints warnings while it is imported and through its logger later.
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from robosuite.models.arenas import EmptyArena
        from robosuite.models.bases import NullMount
        from robosuite.models.grippers import gripper_factory
        from robosuite.models.robots import Panda
        from robosuite.models.tasks import ManipulationTask

        arm = Panda()
        arm.add_base(NullMount())  # RethinkMount's pedestal alone is a fifth of all visible faces
        arm.add_gripper(
            gripper_factory({"robotiq": "Robotiq85Gripper", "panda_hand": "PandaGripper"}[gripper], idn="0_right")
        )
        xml = ManipulationTask(EmptyArena(), arm).get_xml()
    return mujoco.MjSpec.from_string(xml)


def _strip(spec: mujoco.MjSpec) -> None:
    """Remove what our own loop, camera and contacts replace."""
    for element in [*spec.actuators, *spec.tendons, *spec.sensors, *spec.cameras, *spec.lights]:
        spec.delete(element)
    for name in ("left_eef_target", "right_eef_target"):
        spec.delete(spec.body(name))
    for body in spec.bodies:
        for site in list(body.sites):
            spec.delete(site)
        for geom in list(body.geoms):
            colliding = geom.contype or geom.conaffinity
            # The links that can't reach the table need no contacts.
            far = body.name.startswith("robot0_link") and body.name not in ("robot0_link6", "robot0_link7")
            if colliding and far:
                spec.delete(geom)
            elif colliding and body.name != "world":
                geom.contype, geom.conaffinity = ROBOT
                geom.group = 3  # not drawn
                geom.rgba = [0, 0, 0, 0]


def _servo_arm(spec: mujoco.MjSpec) -> None:
    """Position servos and gravity compensation for the arm; the flange frame DROID's states are given in."""
    for body in spec.bodies:
        if body.name.startswith(("robot0", "gripper0")):
            body.gravcomp = 1.0
    for joint, kp, kv, torque in zip(ARM_JOINTS, SERVO_STIFFNESS, SERVO_DAMPING, SERVO_TORQUE, strict=True):
        spec.joint(joint).armature = JOINT_ARMATURE
        actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=kp, kv=kv)
        actuator.forcelimited = 1
        actuator.forcerange = [-torque, torque]
    spec.body("robot0_link7").add_site(name=FLANGE_SITE, pos=[0, 0, 0.107], group=4)


# --- grippers -------------------------------------------------------------------------------------------------
# Both end up with one actuator, "gripper", whose control is closedness: 0 open, 1 closed.

ROBOTIQ_CLOSED = 0.8  # rad, finger_joint
PANDA_HAND_OPEN = 0.04  # m, each finger


def _couple_robotiq(spec: mujoco.MjSpec) -> None:
    """Drive one joint of the 2F-85 and couple the linkage, so that the pads stay parallel.

    robosuite drives its two fingers independently, which lets a cube slip out in two of three tries.
    """
    prefix = "gripper0_right_"
    # Straight on the flange, as in DROID: at yaw 0 the fingers open along the base frame's y.
    spec.body("robot0_right_hand").quat = [1, 0, 0, 0]
    followers = {
        "right_outer_knuckle_joint": 1.0,
        "left_inner_knuckle_joint": 1.0,
        "right_inner_knuckle_joint": 1.0,
        "left_inner_finger_joint": -1.0,
        "right_inner_finger_joint": -1.0,
    }
    for joint in ("finger_joint", *followers):
        element = spec.joint(prefix + joint)
        element.armature = 0.002
        element.damping = [0.02, 0, 0]
    for follower, ratio in followers.items():
        spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            name1=prefix + follower,
            name2=prefix + "finger_joint",
            data=[0, ratio, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            solref=[0.01, 1.0],
        )
    for side in ("left", "right"):
        for geom in list(spec.body(f"{prefix}{side}_inner_finger").geoms):
            _firm_pad(geom)
        for name in ("outer_knuckle", "inner_knuckle"):
            for geom in list(spec.body(f"{prefix}{side}_{name}").geoms):
                if geom.contype:
                    spec.delete(geom)
    _add_gripper_actuator(
        spec, prefix + "finger_joint", gain=20.0, span=ROBOTIQ_CLOSED, start=0.0, damping=0.6, force=3.0
    )


def _couple_panda_hand(spec: mujoco.MjSpec) -> None:
    """Drive one finger of the Franka Hand and mirror the other."""
    prefix = "gripper0_right_"
    for joint in ("finger_joint1", "finger_joint2"):
        element = spec.joint(prefix + joint)
        element.armature, element.damping, element.frictionloss = 0.5, [20.0, 0, 0], 0.0
    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=prefix + "finger_joint2",
        name2=prefix + "finger_joint1",
        data=[0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        solref=[0.01, 1.0],
    )
    for body in spec.bodies:
        if "finger" in body.name:
            for geom in list(body.geoms):
                _firm_pad(geom)
    _add_gripper_actuator(
        spec,
        prefix + "finger_joint1",
        gain=4000.0,
        span=-PANDA_HAND_OPEN,
        start=PANDA_HAND_OPEN,
        damping=150.0,
        force=60.0,
    )


def _firm_pad(geom: mujoco.MjsGeom) -> None:
    if geom.contype:
        geom.friction, geom.solref, geom.condim = PAD_FRICTION, PAD_SOLREF, 4
        geom.priority = 1


def _add_gripper_actuator(
    spec: mujoco.MjSpec, joint: str, *, gain: float, span: float, start: float, damping: float, force: float
) -> None:
    """A servo from closedness c to the joint position ``start + span c``."""
    actuator = spec.add_actuator(name="gripper", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.gainprm[0] = gain * span
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.biasprm[:3] = [gain * start, -gain, -damping]
    actuator.ctrllimited, actuator.ctrlrange = 1, [0, 1]
    actuator.forcelimited, actuator.forcerange = 1, [-force, force]


# --- room, table, camera --------------------------------------------------------------------------------------


def _add_room(spec: mujoco.MjSpec) -> None:
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
    # What things stand on is a plane: contacts with it are exact and cheap.
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
    world.add_camera(name=CAMERA, pos=CAMERA_POSITION, quat=look_at(CAMERA_POSITION, CAMERA_TARGET), fovy=CAMERA_FOVY)
    world.add_light(
        name=LIGHT,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.5, 0.5, 1.5],
        dir=[-0.3, -0.3, -1],
        diffuse=[0.6] * 3,
        specular=[0.1] * 3,
        castshadow=False,
    )
    spec.visual.headlight.ambient = [0.35] * 3
    spec.visual.headlight.diffuse = [0.35] * 3
    spec.visual.headlight.specular = [0.0] * 3
    spec.visual.map.znear = 0.01
    spec.visual.global_.offwidth = spec.visual.global_.offheight = 1024
    spec.visual.quality.offsamples = 0


def look_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Quaternion [4] (w, x, y, z) of a camera at ``position`` that looks at ``target`` with z up."""
    backward = np.asarray(position, float) - target
    backward /= np.linalg.norm(backward)
    right = np.cross([0, 0, 1], backward)
    right /= np.linalg.norm(right)
    matrix = np.column_stack([right, np.cross(backward, right), backward])
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, matrix.ravel())
    return quaternion


def _add_material(spec: mujoco.MjSpec, name: str, texture: str, repeat: float) -> None:
    """A material with one of robosuite's textures, resampled small: full ones only fill memory."""
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


# --- objects --------------------------------------------------------------------------------------------------


def _object_body(spec: mujoco.MjSpec, height: float) -> mujoco.MjsBody:
    """A free body whose origin is the object's centre."""
    body = spec.worldbody.add_body(name=OBJECT_BODY, pos=[0.45, 0, height / 2])
    body.add_freejoint(name=OBJECT_JOINT)
    return body


def _add_part(body: mujoco.MjsBody, meets: tuple[int, int], **geometry) -> None:
    body.add_geom(contype=meets[0], conaffinity=meets[1], friction=[1.0, 0.01, 0.0005], condim=4, **geometry)


def _add_box(spec: mujoco.MjSpec) -> None:
    body = _object_body(spec, 2 * BOX_HALF_SIZE[2])
    _add_part(
        body,
        MEETS_BOTH,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=BOX_HALF_SIZE,
        rgba=[0.75, 0.2, 0.15, 1],
        mass=0.06,
        group=1,
    )


def _add_cup(spec: mujoco.MjSpec) -> None:
    """A cup: a ring of upright boards on a round bottom.

    The boards meet the fingers; the table meets one unseen cylinder around them, which costs far fewer contacts.
    """
    body = _object_body(spec, CUP_HEIGHT)
    color = [0.15, 0.35, 0.75, 1]
    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    _add_part(body, MEETS_TABLE, type=cylinder, size=[CUP_RADIUS, CUP_HEIGHT / 2, 0], mass=0.0, group=3)
    bottom = [0, 0, -CUP_HEIGHT / 2 + CUP_BOTTOM]
    _add_part(
        body, MEETS_ROBOT, type=cylinder, size=[CUP_RADIUS, CUP_BOTTOM, 0], pos=bottom, rgba=color, mass=0.03, group=1
    )
    for i in range(CUP_SIDES):
        angle = 2 * np.pi * i / CUP_SIDES
        _add_part(
            body,
            MEETS_ROBOT,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[CUP_WALL / 2, CUP_RADIUS * np.tan(np.pi / CUP_SIDES), CUP_HEIGHT / 2],
            pos=[(CUP_RADIUS - CUP_WALL / 2) * np.cos(angle), (CUP_RADIUS - CUP_WALL / 2) * np.sin(angle), 0],
            quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)],
            rgba=color,
            mass=0.05 / CUP_SIDES,
            group=1,
        )


def _allow_any_object_size(model: mujoco.MjModel) -> None:
    """Make the object's bounding boxes so large that a randomised size needs no new ones.

    MuJoCo computes bounding volumes at compile time; a geom that outgrows them loses contacts and sinks.
    """
    body = model.body(OBJECT_BODY)
    first, count = int(model.body_bvhadr[body.id]), int(model.body_bvhnum[body.id])
    model.bvh_aabb[first : first + count] = [0, 0, 0, OBJECT_BOUND, OBJECT_BOUND, OBJECT_BOUND]


# --- meshes ---------------------------------------------------------------------------------------------------


def _simplify_meshes(spec: mujoco.MjSpec) -> None:
    """Replace each drawn mesh by a coarser one: 10 mm cells on the arm, 4 mm on the gripper."""
    compiled = spec.compile()
    drawn = [geom for body in spec.bodies for geom in body.geoms if geom.meshname and not geom.contype]
    for name in sorted({geom.meshname for geom in drawn}):
        mesh = compiled.mesh(name).id
        first, count = int(compiled.mesh_vertadr[mesh]), int(compiled.mesh_vertnum[mesh])
        face, faces = int(compiled.mesh_faceadr[mesh]), int(compiled.mesh_facenum[mesh])
        # The compiler moves a mesh to its inertial frame; put the vertices back.
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, compiled.mesh_quat[mesh])
        vertices = compiled.mesh_vert[first : first + count] @ rotation.reshape(3, 3).T + compiled.mesh_pos[mesh]
        cell = 0.004 if name.startswith("gripper0") else 0.010
        vertices, triangles = decimate(vertices, compiled.mesh_face[face : face + faces], cell)
        spec.add_mesh(
            name=f"{name}-coarse",
            uservert=vertices.ravel(),
            userface=triangles.ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        for geom in drawn:
            if geom.meshname == name:
                geom.meshname = f"{name}-coarse"
    used = {geom.meshname for body in spec.bodies for geom in body.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)
