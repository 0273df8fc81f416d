"""DROID's raw layout: one folder per episode with trajectory.h5, metadata_<uuid>.json and recordings/MP4.

    <root>/1.0.1/<LAB>/{success,failure}/<YYYY-MM-DD>/<Www_Mmm_dd_HH:MM:SS_YYYY>/

Row i of the HDF5 file and frame i of the video belong together. Our rows are one control period apart, and the
video header's frame rate says so; time is nevertheless always taken from the stamps in the HDF5 file.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from data.episode import Camera, Episode
from data.video import read_video, write_video
from envs import pose
from envs.errors import UserError

VERSION_FOLDER = "1.0.1"
LAB = "SIM"
DROID_VERSION = "1.3"
USER, BUILDING, ROBOT_SERIAL = "vjepa-sim", "mujoco", "panda-sim"
# Simulated episodes are stamped from here on, a minute and more apart, so that folder names repeat for the same seed.
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
# DROID normalises velocity actions by these, per 15 Hz step.
MAX_LINEAR_DELTA, MAX_ROTATION_DELTA, MAX_GRIPPER_DELTA = 0.075, 0.15, 0.25


# --- writing --------------------------------------------------------------------------------------------------


def episode_folder(root: Path, index: int, success: bool) -> Path:
    """Where episode ``index`` of a collection lies."""
    moment = _moment(index)
    name = f"{moment:%a_%b}_{moment.day:2d}_{moment:%H:%M:%S_%Y}".replace(" ", "_")
    return root / VERSION_FOLDER / LAB / ("success" if success else "failure") / f"{moment:%Y-%m-%d}" / name


def _moment(index: int) -> datetime:
    return EPOCH + timedelta(minutes=2 * index)


def write_episode(root: Path, index: int, episode: Episode) -> Path:
    """Write one episode into a collection and return its folder.

    Everything is written beside its place and then renamed, so that a folder that exists is whole.

    Raises:
        UserError: the episode's folder exists already.
    """
    import h5py

    folder = episode_folder(root, index, episode.success)
    if folder.exists():
        raise UserError(f"{folder} exists already; give another --out, or resume with the same seed.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=root))
    try:
        os.chmod(partial, 0o755)
        (partial / "recordings" / "MP4").mkdir(parents=True)
        write_video(
            partial / "recordings" / "MP4" / f"{episode.camera.serial}.mp4", episode.camera.frames, 1 / episode.period
        )
        with h5py.File(partial / "trajectory.h5", "w") as file:
            _write_rows(file, index, episode)
            file.attrs.update(_attributes(index, episode))
        metadata = _metadata(root, folder, index, episode)
        text = json.dumps(metadata, indent=2)
        (partial / f"metadata_{metadata['uuid']}.json").write_text(text + "\n")
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def _user_id(index: int, episode: Episode) -> str:
    """Eight hexadecimal digits; the seed's where there is one, so that collections don't share their uuids."""
    return f"{(index if episode.seed is None else episode.seed) & 0xFFFFFFFF:08x}"


def _write_rows(file, index: int, episode: Episode) -> None:
    """Every low-dimensional key that DROID's recorder writes, as far as a simulator knows it."""
    serial = episode.camera.serial
    rows = len(episode)
    milliseconds = np.round((_moment(index).timestamp() + episode.stamps) * 1000).astype(np.int64)
    zeros7, zeros, true, false = np.zeros((rows, 7)), np.zeros(rows), np.ones(rows, bool), np.zeros(rows, bool)
    joint_velocities = np.gradient(episode.joints, episode.stamps, axis=0)
    robot_state = {
        "cartesian_position": episode.states[:, :6],
        "gripper_position": episode.states[:, pose.GRIPPER],
        "joint_positions": episode.joints,
        "joint_velocities": joint_velocities,
        "joint_torques_computed": zeros7,
        "prev_joint_torques_computed": zeros7,
        "prev_joint_torques_computed_safened": zeros7,
        "motor_torques_measured": zeros7,
        "prev_controller_latency_ms": zeros,
        "prev_command_successful": true,
    }
    # Velocities are per step of DROID's 15 Hz loop, as shares of its largest step.
    per_step = pose.difference(episode.states, episode.commands) / max(1.0, episode.period * 15)
    velocity = np.concatenate([per_step[:, :3] / MAX_LINEAR_DELTA, per_step[:, 3:6] / MAX_ROTATION_DELTA], axis=1)
    next_joints = np.concatenate([episode.joints[1:], episode.joints[-1:]])
    tree = {
        "observation/robot_state": robot_state,
        "observation/camera_type": {serial: np.ones(rows, np.int64)},
        "observation/camera_extrinsics": {
            f"{serial}_left": np.tile(episode.camera.extrinsics, (rows, 1)),
            f"{serial}_right": np.tile(episode.camera.extrinsics, (rows, 1)),
        },
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
        "observation/timestamp/cameras": {
            f"{serial}_{event}": milliseconds
            for event in ("read_start", "read_end", "frame_received", "estimated_capture")
        },
        "observation/timestamp/control": {
            event: milliseconds for event in ("step_start", "policy_start", "sleep_start", "control_start", "step_end")
        },
        "action": {
            "cartesian_position": episode.commands[:, :6],
            "cartesian_velocity": np.clip(velocity, -1, 1),
            "joint_position": next_joints,
            "joint_velocity": joint_velocities,
            "gripper_position": episode.commands[:, pose.GRIPPER],
            "gripper_velocity": np.clip(per_step[:, pose.GRIPPER] / MAX_GRIPPER_DELTA, -1, 1),
        },
        "action/robot_state": robot_state,
        # Ours alone: the clock in seconds, to the last bit.
        "vjepa_sim": {"stamp": episode.stamps},
    }
    if episode.privileged:
        tree["vjepa_sim/privileged"] = episode.privileged
    if episode.camera.intrinsics is not None:
        matrices = np.tile(episode.camera.intrinsics, (rows, 1, 1))
        tree["observation/camera_intrinsics"] = {f"{serial}_left": matrices, f"{serial}_right": matrices}
    for group, leaves in tree.items():
        for name, values in leaves.items():
            values = np.ascontiguousarray(values)
            file.create_dataset(
                f"{group}/{name}", data=values, maxshape=(None, *values.shape[1:]), chunks=(1, *values.shape[1:])
            )


def _attributes(index: int, episode: Episode) -> dict:
    return {
        "user": USER,
        "building": BUILDING,
        "scene_id": np.int64(episode.seed or 0),
        "current_task": episode.task,
        "time": _moment(index).strftime("%a %b %d %H:%M:%S %Y"),
        "robot_serial_number": ROBOT_SERIAL,
        "version_number": DROID_VERSION,
        "success": episode.success,
        "failure": not episode.success,
        "movement_enabled": True,
        "controller_on": True,
    }


def _metadata(root: Path, folder: Path, index: int, episode: Episode) -> dict:
    """DROID's 28 fields, and ours under one key of their own."""
    moment, serial = _moment(index), episode.camera.serial
    inside = folder.relative_to(root / VERSION_FOLDER / LAB).as_posix()
    video, recording = f"{inside}/recordings/MP4/{serial}.mp4", f"{inside}/recordings/SVO/{serial}.svo"
    extrinsics = episode.camera.extrinsics.tolist()
    return {
        "uuid": f"{LAB}+{_user_id(index, episode)}+{moment:%Y-%m-%d-%Hh-%Mm-%Ss}",
        "lab": LAB,
        "user": USER,
        "user_id": _user_id(index, episode),
        "date": f"{moment:%Y-%m-%d}",
        "timestamp": f"{moment:%Y-%m-%d-%Hh-%Mm-%Ss}",
        "hdf5_path": f"{inside}/trajectory.h5",
        "building": BUILDING,
        "scene_id": int(episode.seed or 0),
        "success": bool(episode.success),
        "robot_serial": ROBOT_SERIAL,
        "droid_version": DROID_VERSION,
        "current_task": episode.task,
        "trajectory_length": len(episode),
        # One camera stands for all three roles until an episode has more: readers reject records with gaps.
        "wrist_cam_serial": serial,
        "ext1_cam_serial": serial,
        "ext2_cam_serial": serial,
        "wrist_cam_extrinsics": extrinsics,
        "ext1_cam_extrinsics": extrinsics,
        "ext2_cam_extrinsics": extrinsics,
        "wrist_svo_path": recording,
        "wrist_mp4_path": video,
        "ext1_svo_path": recording,
        "ext1_mp4_path": video,
        "ext2_svo_path": recording,
        "ext2_mp4_path": video,
        "left_mp4_path": video,
        "right_mp4_path": video,
        "vjepa_sim": {"behavior": episode.behavior, "seed": episode.seed, "period": episode.period, **episode.details},
    }


# --- reading --------------------------------------------------------------------------------------------------


def find_episodes(root: Path) -> list[Path]:
    """The episode folders below ``root``, in order of their names.

    Raises:
        UserError: there is no such folder, or no episode in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder. Collect episodes first: `vjepa-sim collect --out {root} --episodes 100 --seed 0`."
        )
    found = [
        Path(folder) for folder, _, files in os.walk(root) if "trajectory.h5" in files and ".partial-" not in folder
    ]
    if not found:
        raise UserError(
            f"No episode (a folder with trajectory.h5) was found below {root}. Is it a data set in DROID's raw layout?"
        )
    return sorted(found, key=lambda folder: (folder.parent.name, folder.name.split("_")[-2:], str(folder)))


def read_metadata(folder: Path) -> dict:
    """The episode's metadata_*.json.

    Raises:
        UserError: it is missing or not JSON.
    """
    files = sorted(Path(folder).glob("metadata_*.json"))
    if not files:
        raise UserError(f"{folder}: no metadata_*.json. The episode is incomplete; delete or restore the folder.")
    try:
        record = json.loads(files[0].read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{files[0]}: not readable as JSON ({error}).") from error
    if not isinstance(record, dict):
        raise UserError(f"{files[0]}: expected a JSON object with DROID's metadata fields.")
    return record


def read_episode(folder: Path) -> Episode:
    """Read one episode with the frames of its "left" camera.

    A video that is shorter than the rows by a frame (as some of DROID's are) shortens the episode.

    Raises:
        UserError: a file is missing or damaged, or its contents don't fit together; the message names the folder.
    """
    import h5py

    folder = Path(folder)
    metadata = read_metadata(folder)
    relative = metadata.get("left_mp4_path")
    if not isinstance(relative, str):
        raise UserError(f"{folder}: metadata has no left_mp4_path; which camera is meant is unknown.")
    serial = Path(relative).stem
    try:
        with h5py.File(folder / "trajectory.h5", "r") as file:
            robot = file["observation/robot_state"]
            states = np.column_stack([robot["cartesian_position"][:], robot["gripper_position"][:]])
            joints = robot["joint_positions"][:]
            extrinsics = file[f"observation/camera_extrinsics/{serial}_left"][0]
            intrinsics_path = f"observation/camera_intrinsics/{serial}_left"
            intrinsics = file[intrinsics_path][0] if intrinsics_path in file else None
            commands = np.column_stack([file["action/cartesian_position"][:], file["action/gripper_position"][:]])
            if "vjepa_sim/stamp" in file:
                stamps = file["vjepa_sim/stamp"][:]
            else:
                stamps = file["observation/timestamp/robot_state/read_start"][:] / 1000.0
            privileged = {name: values[:] for name, values in file.get("vjepa_sim/privileged", {}).items()}
    except (OSError, KeyError, ValueError, RuntimeError, IndexError, TypeError, AttributeError) as error:
        # Whatever a damaged file holds in the place of what we look for.
        raise UserError(f"{folder / 'trajectory.h5'}: can't be read as a DROID trajectory ({error}).") from error
    frames = read_video(folder / "recordings" / "MP4" / f"{serial}.mp4")
    rows = min(len(states), len(frames))
    if len(states) - rows > 1 or len(frames) > len(states):
        raise UserError(f"{folder}: {len(frames)} frames for {len(states)} rows; at most one frame may be missing.")
    lengths = {name: len(values) for name, values in {"commands": commands, "stamps": stamps, "joints": joints}.items()}
    if set(lengths.values()) != {len(states)}:
        raise UserError(f"{folder}: {len(states)} rows of states, but {lengths}; all must be equally long.")
    ours = metadata.get("vjepa_sim", {})
    success, seed = metadata.get("success", False), ours.get("seed") if isinstance(ours, dict) else None
    if not isinstance(ours, dict) or not isinstance(success, bool) or not isinstance(seed, int | None):
        raise UserError(
            f"{folder}: the metadata's success must be true or false, vjepa_sim an object, its seed a number."
        )
    try:
        return Episode(
            camera=Camera(serial, frames[:rows], extrinsics, intrinsics),
            states=states[:rows],
            commands=commands[:rows],
            stamps=stamps[:rows],
            joints=joints[:rows],
            task=str(metadata.get("current_task", "")),
            success=success,
            behavior=str(ours.get("behavior", "unknown")),
            seed=seed,
            privileged={name: values[:rows] for name, values in privileged.items()},
            details={key: value for key, value in ours.items() if key not in ("behavior", "seed", "period")},
        )
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
