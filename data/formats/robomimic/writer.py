"""Write robomimic's HDF5; the layout is described in :mod:`vjepa_sim.data.formats.robomimic`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.formats.format import Writer
from vjepa_sim.data.formats.hdf5 import find_group
from vjepa_sim.data.formats.robomimic.frames import AT_ONCE
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.safety import SafetyLimits

if TYPE_CHECKING:
    import h5py

ENV_NAME = "vjepa_sim"
GYM = 2  # robomimic's number for an environment other than robosuite's
ACTION_SCALE = SafetyLimits().step  # [7], size of an action of 1: metres, radians, closedness
OURS = "vjepa_sim"  # group of a demo
# HDF5 1.10's layout: unlike the older one, it has checksums throughout, and current readers support it.
LAYOUT = ("v110", "v110")
VALIDATED = 20  # one of so many demos is for validation
BLOCK = 2**21  # bytes by which the memory of a demo grows


class RobomimicWriter(Writer):
    """Appends demos to a new file, which is complete after each of them except for ``mask``.

    A demo is built in memory (compressed), and then copied into the file. The file is open for these milliseconds only;
    a process killed at any other time leaves a readable file.
    """

    format = "robomimic"

    def __init__(self, path: Path):
        """
        Args:
            path: A new file.

        Raises:
            UserError: It exists.
        """
        self.path = Path(path)
        if self.path.exists():
            raise UserError(f"{self.path} exists already; robomimic's format is a single new file, such as demos.hdf5.")
        self._count, self._total = 0, 0  # demos, and steps in all of them

    def write(self, episode: Episode) -> None:
        """See :meth:`.Writer.write`."""
        import h5py

        name = f"demo_{self._count}"
        about = _about(episode, f"{self.path}: {name}")
        try:
            with h5py.File(
                "demo.hdf5", "w", driver="core", block_size=BLOCK, backing_store=False, libver=LAYOUT
            ) as memory:
                _write_demo(memory.create_group("demo"), episode, about)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with h5py.File(self.path, "r+" if self._count else "w-", libver=LAYOUT) as file:
                    data = find_group(file, "data") if self._count else _begin(file, episode)
                    memory.copy("demo", data, name)
                    data.attrs["total"] = self._total + len(episode) - 1
        except UserError as error:
            raise UserError(f"{self.path}: {name}: {error}") from error
        except (OSError, TypeError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"{self.path}: {name} can't be written ({error}).") from error
        self._count += 1
        self._total += len(episode) - 1

    def close(self) -> None:
        """Write the masks: every twentieth demo is for validation, at least one of two or more."""
        import h5py

        if not self._count:
            return
        valid = range(self._count)[VALIDATED // 2 :: VALIDATED] or range(self._count)[1:2]
        masks = {"valid": valid, "train": [number for number in range(self._count) if number not in valid]}
        try:
            with h5py.File(self.path, "r+", libver=LAYOUT) as file:
                for name, chosen in masks.items():
                    demos = np.array([f"demo_{number}" for number in chosen], "S")
                    if len(demos) and f"mask/{name}" not in file:
                        file[f"mask/{name}"] = demos
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{self.path}: the masks can't be written ({error}).") from error


def _begin(file: h5py.File, episode: Episode) -> h5py.Group:
    data = file.create_group("data")
    data.attrs["total"] = 0
    data.attrs["action_scale"] = ACTION_SCALE
    data.attrs["env_args"] = json.dumps(
        {
            "env_name": ENV_NAME,
            "type": GYM,
            "env_kwargs": {
                "control_freq": round(1 / episode.period, 6),
                "arm": episode.details.get("arm", ""),
                "gripper": episode.details.get("gripper", ""),
                "action_scale": ACTION_SCALE.tolist(),
                "gripper_qpos": "closedness, 0 open to 1 closed",
            },
        }
    )
    return data


def _about(episode: Episode, where: str) -> bytes:
    """The episode's fields that are not arrays, as JSON."""
    about = {
        "task": episode.task,
        "success": episode.success,
        "behavior": episode.behavior,
        "seed": episode.seed,
        "details": episode.details,
        "cameras": {camera.role: camera.serial for camera in episode.cameras},
    }
    try:
        return json.dumps(about).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: the episode's details can't be written as JSON ({error}).") from error


def _write_demo(demo: h5py.Group, episode: Episode, about: bytes) -> None:
    steps = len(episode) - 1
    actions = pose.difference(episode.states[:-1], episode.states[1:])
    last = np.arange(steps) == steps - 1
    demo.attrs["num_samples"] = steps
    _store(demo, "actions", np.clip(actions / ACTION_SCALE, -1, 1))
    _store(demo, "actions_metric", actions)
    _store(demo, "states", episode.states[:-1])
    _store(demo, "rewards", (last & (episode.success is True)).astype(np.float64))
    _store(demo, "dones", last.astype(np.int64))
    for name, rows in _observations(episode).items():
        _store(demo, f"obs/{name}", rows[:-1])
        _store(demo, f"next_obs/{name}", rows[1:])
    for camera in episode.cameras:
        _store_frames(demo, camera)
    _write_ours(demo.create_group(OURS), episode, about)


def _observations(episode: Episode) -> dict[str, np.ndarray]:
    """Arrays [T, …] by robomimic's names."""
    states = episode.states
    observations = {
        "robot0_eef_pos": states[:, pose.POSITION],
        "robot0_eef_quat": Rotation.from_euler("xyz", states[:, pose.ROTATION]).as_quat(),
        "robot0_gripper_qpos": states[:, pose.GRIPPER :],
    }
    return observations if episode.joints is None else {**observations, "robot0_joint_pos": episode.joints}


def _write_ours(group: h5py.Group, episode: Episode, about: bytes) -> None:
    """Write the episode's arrays unchanged; names are quoted, since "/" separates groups."""
    _store(group, "about", np.array([about]))
    for name in ("states", "stamps", "commands", "joints"):
        if getattr(episode, name) is not None:
            _store(group, name, getattr(episode, name))
    for camera in episode.cameras:
        for name in ("extrinsics", "intrinsics"):
            if getattr(camera, name) is not None:
                _store(group, f"cameras/{camera.role}/{name}", getattr(camera, name))
    for kind in ("privileged", "extras"):
        for name, array in getattr(episode, kind).items():
            _store(group, f"{kind}/{quote(name, safe='')}", array)


def _store(group: h5py.Group, name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biufcS":
        raise UserError(f"{name} holds {array.dtype}; robomimic's format keeps numbers only.")
    group.create_dataset(name, data=array, fletcher32=True if array.size else None)


def _store_frames(demo: h5py.Group, camera: Camera) -> None:
    """Write frames, one chunk each so that any is quickly read; each is compressed once and copied to ``next_obs``."""
    rows, height, width, _ = camera.frames.shape
    shape, chunk = (rows - 1, height, width, 3), (1, height, width, 3)
    first, second = (
        demo.create_dataset(
            f"{group}/{camera.role}_image",
            shape,
            np.uint8,
            chunks=chunk,
            compression="gzip",
            compression_opts=1,
            fletcher32=True,
        )
        for group in ("obs", "next_obs")
    )
    for start in range(0, rows, AT_ONCE):  # a video is opened, and decoded from a keyframe on, each time it is indexed
        frames = camera.frames[start : start + AT_ONCE]
        kept = frames[: rows - 1 - start]
        first[start : start + len(kept)] = kept
        if len(kept) < len(frames):
            second[rows - 2] = frames[-1]
    for row in range(1, rows - 1):
        mask, packed = first.id.read_direct_chunk((row, 0, 0, 0))
        second.id.write_direct_chunk((row - 1, 0, 0, 0), packed, mask)
