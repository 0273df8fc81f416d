"""robomimic's HDF5: a single file with all demonstrations.

Its layout::

    data                    attributes total, env_args (JSON), action_scale [7]
    data/demo_<i>           attribute num_samples = N: an episode of T = N + 1 rows has N steps
        actions             [N, 7] in [-1, 1]: actions_metric / action_scale, clipped
        actions_metric      [N, 7] differences from row to row, see envs.pose: metres, radians, closedness, base frame
        states              [N, 7] see vjepa_sim.envs.pose; not MuJoCo's state, which robomimic keeps here
        rewards, dones      [N] rewards 1 at the last step of a successful episode, dones 1 at every last step
        obs, next_obs       rows 0 to T-2, and 1 to T-1, of
            robot0_eef_pos, robot0_eef_quat       [N, 3] metres, [N, 4] x y z w: the flange in the robot's base frame
            robot0_gripper_qpos                   [N, 1] closedness, 0 open to 1 closed
            robot0_joint_pos                      [N, 7] radians, where known
            ext1_image, ext2_image, wrist_image   [N, H, W, 3] uint8
        vjepa_sim           arrays without a place in robomimic's format, so that an episode is restored exactly
    mask/train, mask/valid  names of demos, written when the data set is finished; every twentieth is for validation
"""

from __future__ import annotations

from pathlib import Path

from vjepa_sim.data.formats.format import Progress, no_progress
from vjepa_sim.data.formats.robomimic.reader import RobomimicReader, is_robomimic
from vjepa_sim.data.formats.robomimic.writer import RobomimicWriter

__all__ = ["RobomimicReader", "RobomimicWriter", "detect", "open_reader", "open_writer"]


def detect(path: Path) -> bool:
    """Whether a file is HDF5 with ``data/demo_<i>``."""
    return is_robomimic(Path(path))


def open_reader(path: Path, on_progress: Progress = no_progress) -> RobomimicReader:
    """Open a data set; its episodes are indexed once, see :mod:`vjepa_sim.data.formats.index`."""
    return RobomimicReader(Path(path), on_progress)


def open_writer(path: Path) -> RobomimicWriter:
    """Begin a data set in a new file, usually ``<name>.hdf5``."""
    return RobomimicWriter(Path(path))
