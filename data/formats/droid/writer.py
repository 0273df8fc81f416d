"""Write DROID's raw layout with everything that its own readers and V-JEPA 2's loader need."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from vjepa_sim.data.camera_arrays import rename_leaf
from vjepa_sim.data.episode import EXOCENTRIC_ROLES, WRIST, Camera, Episode, exocentric
from vjepa_sim.data.files import write_json
from vjepa_sim.data.formats.droid.cameras import ON_END_EFFECTOR
from vjepa_sim.data.formats.droid.layout import LAB, RATE, TRAJECTORY, VERSION_FOLDER, VIDEOS, episode_folder, moment
from vjepa_sim.data.formats.droid.trajectory import EXTRAS, FIELDS
from vjepa_sim.data.formats.format import Writer
from vjepa_sim.data.video import write_video
from vjepa_sim.envs import pose
from vjepa_sim.envs.arms import PANDA
from vjepa_sim.envs.errors import UserError

DROID_VERSION = "1.3"
SIMULATED = {"user": "vjepa-sim", "building": "mujoco"}
BESIDE = 1  # value in observation/camera_type
# Divisors of DROID's velocity actions, per step of its control loop: m, rad, closedness.
MAX_LINEAR_DELTA, MAX_ROTATION_DELTA, MAX_GRIPPER_DELTA = 0.075, 0.15, 0.25
EPOCH_STAMPS = 1e9  # s: larger stamps are times of day


class DroidWriter(Writer):
    """Appends episodes, each a folder that is written atomically."""

    format = "droid"

    def __init__(self, root: Path):
        self._root = Path(root)
        self._count = 0

    def write(self, episode: Episode) -> None:
        """See :func:`write_episode`."""
        self._root.mkdir(parents=True, exist_ok=True)
        write_episode(self._root, self._count, episode)
        self._count += 1


@dataclass(frozen=True)
class _Origin:
    """Place and time of a recording.

    Attributes:
        lab: Lab of the recording.
        when: Time of the first row.
        begin: Seconds from 1970 to stamp 0.
        user_id: Eight hexadecimal digits; from the seed if there is one, so that uuids of collections differ.
    """

    lab: str
    when: datetime
    begin: float
    user_id: str

    @classmethod
    def of(cls, index: int, episode: Episode, lab: str, when: datetime | None) -> _Origin:
        user_id = f"{(index if episode.seed is None else episode.seed) & 0xFFFFFFFF:08x}"
        first = float(episode.stamps[0])
        begin = moment(index).timestamp() if when is None else when.timestamp() - first
        return cls(lab, when or moment(index), 0.0 if first > EPOCH_STAMPS else begin, user_id)


def write_episode(root: Path, index: int, episode: Episode, *, lab: str = LAB, when: datetime | None = None) -> Path:
    """Write one episode into a collection and return its folder.

    The folder is written under a temporary name and then renamed, so an existing folder is complete. Without commands,
    the next measured states take their place, since DROID's readers regard a recording without actions as aborted;
    without joints, DROID's own parser, which counts them, rejects the episode. With unknown success, the episode is put
    into ``failure``. Our reader restores all three.

    Args:
        root: Root of the collection.
        index: Index of the episode.
        episode: The episode.
        lab: Lab of the recording.
        when: Time of the first row; None means the made-up time of a simulated episode, see :func:`.moment`.

    Raises:
        UserError: The episode's folder exists already, or its details can't be written as JSON.
    """
    import h5py

    folder = episode_folder(root, index, bool(episode.success), lab=lab, when=when)
    origin = _Origin.of(index, episode, lab, when)
    if folder.exists():
        raise UserError(f"{folder} exists already; give another --out, or resume with the same seed.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=root))
    try:
        os.chmod(partial, 0o755)
        (partial / VIDEOS).mkdir(parents=True)
        extras = _extras(episode)
        for camera in episode.cameras:
            write_video(partial / VIDEOS / f"{camera.serial}.mp4", camera.frames, rate=1 / episode.period)
            received = extras.get(_received(camera.serial), _milliseconds(origin, episode))
            write_json(partial / VIDEOS / f"{camera.serial}_timestamps.json", received.tolist())
        rows = io.BytesIO()  # not a file: on a full disk, HDF5 can't close one, and prints tracebacks
        with h5py.File(rows, "w") as file:
            _write_rows(file, origin, episode, extras)
            file.attrs.update(_attributes(origin, episode))
        (partial / TRAJECTORY).write_bytes(rows.getbuffer())
        metadata = _metadata(root, folder, origin, episode)
        try:
            text = json.dumps(metadata, indent=2)
        except (TypeError, ValueError, RecursionError) as error:
            raise UserError(f"The episode's details can't be written as JSON ({error}).") from error
        (partial / f"metadata_{metadata['uuid']}.json").write_text(text + "\n")
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def _received(serial: str) -> str:
    """Path of the stamps that DROID's MP4 reader compares with the file beside the video."""
    return f"observation/timestamp/cameras/{serial}_frame_received"


def _extras(episode: Episode) -> dict[str, np.ndarray]:
    """Extras by their paths: those that were read from this layout go back to their place; others have a group."""
    serials = {camera.role: camera.serial for camera in episode.cameras}
    return {
        rename_leaf(name, serials) if name.startswith(("observation/", "action/")) else f"vjepa_sim/extras/{name}": each
        for name, each in episode.extras.items()
    }


def _milliseconds(origin: _Origin, episode: Episode) -> np.ndarray:
    """Stamps int64 [T], milliseconds since 1970."""
    return np.round((origin.begin + episode.stamps) * 1000).astype(np.int64)


def _write_rows(file, origin: _Origin, episode: Episode, extras: dict[str, np.ndarray]) -> None:
    """Write every low-dimensional key of DROID's recorder; values that a simulator lacks are zero."""
    rows = len(episode)
    milliseconds = _milliseconds(origin, episode)
    zeros7, zeros, true, false = np.zeros((rows, 7)), np.zeros(rows), np.ones(rows, bool), np.zeros(rows, bool)
    commands = _commands(episode)
    robot_state = {
        "cartesian_position": episode.states[:, :6],
        "gripper_position": episode.states[:, pose.GRIPPER],
        "joint_torques_computed": zeros7,
        "prev_joint_torques_computed": zeros7,
        "prev_joint_torques_computed_safened": zeros7,
        "motor_torques_measured": zeros7,
        "prev_controller_latency_ms": zeros,
        "prev_command_successful": true,
    }
    # Velocities are per step of DROID's control loop, as shares of its largest step.
    per_step = pose.difference(episode.states, commands) / max(1.0, episode.period * RATE)
    velocity = np.concatenate([per_step[:, :3] / MAX_LINEAR_DELTA, per_step[:, 3:6] / MAX_ROTATION_DELTA], axis=1)
    tree = {
        "observation/robot_state": robot_state,
        "observation/controller_info": {
            "success": false,
            "failure": false,
            "movement_enabled": true,
            "controller_on": true,
        },
        "observation/timestamp": {"skip_action": false},
        "observation/timestamp/robot_state": {
            "read_start": milliseconds,
            "read_end": milliseconds,
            "robot_timestamp_seconds": milliseconds // 1000,
            "robot_timestamp_nanos": milliseconds % 1000 * 1_000_000,
        },
        "observation/timestamp/control": {
            event: milliseconds for event in ("step_start", "policy_start", "sleep_start", "control_start", "step_end")
        },
        "action": {
            "cartesian_position": commands[:, :6],
            "cartesian_velocity": np.clip(velocity, -1, 1),
            "gripper_position": commands[:, pose.GRIPPER],
            "gripper_velocity": np.clip(per_step[:, pose.GRIPPER] / MAX_GRIPPER_DELTA, -1, 1),
        },
        "action/robot_state": robot_state,
        # Our own key: stamps in seconds, without rounding.
        "vjepa_sim": {"stamp": episode.stamps},
    }
    leaves = {f"{group}/{name}": values for group, part in tree.items() for name, values in part.items()}
    if episode.joints is not None:
        leaves |= _joint_leaves(episode.joints, episode.stamps)
    for camera in episode.cameras:
        leaves |= _camera_leaves(camera, rows, milliseconds)
    leaves |= {f"vjepa_sim/privileged/{name}": values for name, values in episode.privileged.items()}
    # An extra in the place of the episode's own states would be read as these.
    leaves |= {f"{EXTRAS}/{name}" if name in FIELDS else name: values for name, values in extras.items()}
    for name, values in leaves.items():
        values = np.ascontiguousarray(values)
        try:
            file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), chunks=(1, *values.shape[1:]))
        except (TypeError, ValueError, KeyError) as error:  # a name of a data set's that HDF5 can't have twice
            raise UserError(f"The array {name!r} can't be written ({error}).") from error


def _commands(episode: Episode) -> np.ndarray:
    if episode.commands is not None:
        return episode.commands
    return np.concatenate([episode.states[1:], episode.states[-1:]])


def _joint_leaves(joints: np.ndarray, stamps: np.ndarray) -> dict[str, np.ndarray]:
    velocities: np.ndarray = np.gradient(joints, stamps, axis=0)
    return {
        "observation/robot_state/joint_positions": joints,
        "observation/robot_state/joint_velocities": velocities,
        "action/robot_state/joint_positions": joints,
        "action/robot_state/joint_velocities": velocities,
        "action/joint_position": np.concatenate([joints[1:], joints[-1:]]),
        "action/joint_velocity": velocities,
    }


def _camera_leaves(camera: Camera, rows: int, milliseconds: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of a camera; both eyes of DROID's stereo cameras get the pose of the one camera."""
    serial = camera.serial
    kind = ON_END_EFFECTOR if camera.role.startswith(WRIST) else BESIDE
    leaves = {f"observation/camera_type/{serial}": np.full(rows, kind, np.int64)}
    for eye in ("left", "right"):
        if camera.extrinsics is not None:
            leaves[f"observation/camera_extrinsics/{serial}_{eye}"] = camera.extrinsics
        if camera.intrinsics is not None:
            leaves[f"observation/camera_intrinsics/{serial}_{eye}"] = np.tile(camera.intrinsics, (rows, 1, 1))
    for event in ("read_start", "read_end", "frame_received", "estimated_capture"):
        leaves[f"observation/timestamp/cameras/{serial}_{event}"] = milliseconds
    return leaves


def _attributes(origin: _Origin, episode: Episode) -> dict:
    return {
        "user": _source(episode, "user"),
        "building": _source(episode, "building"),
        "scene_id": np.int64(episode.seed or 0),
        "current_task": episode.task,
        "time": origin.when.strftime("%a %b %d %H:%M:%S %Y"),
        "robot_serial_number": _source(episode, "robot_serial"),
        "version_number": DROID_VERSION,
        "success": bool(episode.success),
        "failure": not episode.success,
        "movement_enabled": True,
        "controller_on": True,
    }


def _source(episode: Episode, name: str) -> str:
    """An entry of the episode's source, or our simulator's."""
    source = episode.details.get("source")
    if isinstance(source, dict) and name in source:
        return str(source[name])
    if episode.seed is None:
        return "unknown"
    return {**SIMULATED, "robot_serial": f"{episode.details.get('arm', PANDA.name)}-sim"}[name]


def _metadata(root: Path, folder: Path, origin: _Origin, episode: Episode) -> dict:
    """DROID's 28 fields, and our own under one key."""
    when = origin.when
    inside = folder.relative_to(root / VERSION_FOLDER / origin.lab).as_posix()
    return {
        "uuid": f"{origin.lab}+{origin.user_id}+{when:%Y-%m-%d-%Hh-%Mm-%Ss}",
        "lab": origin.lab,
        "user": _source(episode, "user"),
        "user_id": origin.user_id,
        "date": f"{when:%Y-%m-%d}",
        "timestamp": f"{when:%Y-%m-%d-%Hh-%Mm-%Ss}",
        "hdf5_path": f"{inside}/{TRAJECTORY}",
        "building": _source(episode, "building"),
        "scene_id": int(episode.seed or 0),
        "success": bool(episode.success),
        "robot_serial": _source(episode, "robot_serial"),
        "droid_version": DROID_VERSION,
        "current_task": episode.task,
        "trajectory_length": len(episode),
        **_camera_fields(inside, episode),
        "vjepa_sim": {
            "behavior": episode.behavior,
            "seed": episode.seed,
            "period": episode.period,
            "roles": {camera.role: camera.serial for camera in episode.cameras},
            **episode.details,
            **({"unknown": unknown} if (unknown := _unknown(episode)) else {}),
        },
    }


def _unknown(episode: Episode) -> list[str]:
    """Unknown fields of the episode that DROID's layout requires."""
    return [name for name in ("commands", "success") if getattr(episode, name) is None]


def _camera_fields(inside: str, episode: Episode) -> dict:
    """Serials, poses and files of the three roles; the first camera replaces missing ones, as readers reject gaps."""
    cameras = {camera.role: camera for camera in episode.cameras}
    roles = {role: cameras.get(role, episode.cameras[0]) for role in (WRIST, *EXOCENTRIC_ROLES)}

    def file(camera: Camera, kind: str) -> str:
        return f"{inside}/recordings/{kind.upper()}/{camera.serial}.{kind}"

    fields: dict = {f"{role}_cam_serial": camera.serial for role, camera in roles.items()}
    for role, camera in roles.items():
        fields[f"{role}_cam_extrinsics"] = [0.0] * 6 if camera.extrinsics is None else camera.extrinsics[0].tolist()
    for role, camera in roles.items():
        fields |= {f"{role}_svo_path": file(camera, "svo"), f"{role}_mp4_path": file(camera, "mp4")}
    beside = exocentric(cameras)
    left = episode.view("left") if beside else episode.cameras[0]
    right = episode.view("right") if len(beside) > 1 else left
    fields |= {"left_mp4_path": file(left, "mp4"), "right_mp4_path": file(right, "mp4")}
    return fields
