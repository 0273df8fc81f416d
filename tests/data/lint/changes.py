"""Mistakes put into good episodes."""

from dataclasses import replace

import numpy as np


def with_states(episode, change, **changes):
    states = episode.states.copy()
    change(states)
    return replace(episode, states=states, **{"joints": None, **changes})


def with_frames(episode, rows):
    cameras = tuple(replace(camera, frames=camera.frames[rows]) for camera in episode.cameras)
    return replace(episode, cameras=cameras)


def with_poses(episode, change):
    cameras = tuple(replace(camera, extrinsics=change(camera.extrinsics)) for camera in episode.cameras)
    return replace(episode, cameras=cameras)


def held(episode, first, last):
    """Nothing moves from row ``first`` to ``last``."""
    rows = np.arange(len(episode))
    rows[first : last + 1] = first
    return replace(with_frames(episode, rows), states=episode.states[rows], joints=episode.joints[rows])
