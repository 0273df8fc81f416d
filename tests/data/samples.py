"""Episodes to write and to damage."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from vjepa_sim.data.episode import Camera, Episode


def smooth_frames(rows: int, height: int = 32, width: int = 48, shade: int = 0) -> np.ndarray:
    """Pictures that a codec keeps: each row of an episode has a grey of its own."""
    grey = 36 + (34 * np.arange(rows) + shade) % 204  # neither black nor white
    return np.broadcast_to(grey[:, None, None, None], (rows, height, width, 3)).astype(np.uint8)


def make_episode(rows: int = 6, seed: int = 0, cameras: int = 1, **changes) -> Episode:
    """A made-up episode whose numbers are all different.

    Args:
        rows: its length.
        seed: of the numbers.
        cameras: 1 (``ext1``) or 3 (``ext1``, ``ext2``, ``wrist``).
        changes: fields to replace.
    """
    rng = np.random.default_rng(seed)
    roles = ("ext1", "ext2", "wrist")[:cameras]
    episode = Episode(
        cameras=tuple(
            Camera(
                serial={"ext1": "left", "ext2": "right", "wrist": "wrist"}[role],
                frames=smooth_frames(rows, shade=17 * number),
                role=role,
                # A fixed camera stays where it is, the wrist's moves; ext1 is the left one.
                extrinsics=np.tile(np.array([0.9, 0.6 - number, 0.5, 1, 2, 3]), (rows, 1))
                + (rng.uniform(size=(rows, 6)) if role == "wrist" else 0),
                intrinsics=np.array([[40.0 + number, 0, 24], [0, 40, 16], [0, 0, 1]]),
            )
            for number, role in enumerate(roles)
        ),
        states=np.column_stack([rng.uniform(-0.5, 0.5, (rows, 6)), rng.uniform(0, 1, rows)]),
        stamps=np.arange(rows) * 0.25 + 1.0,
        commands=rng.uniform(-0.05, 0.05, (rows, 7)),
        joints=rng.uniform(-1, 1, (rows, 7)),
        task="pick up the box",
        success=True,
        behavior="expert",
        seed=2**31 + 4,
        privileged={"object_position": rng.uniform(size=(rows, 3))},
        details={"task": "grasp", "gripper": "robotiq"},
    )
    return replace(episode, **changes)


@st.composite
def damage(draw):
    """Truncation, bit flips, or shuffled bytes, as a function of the bytes."""
    kind = draw(st.sampled_from(["truncate", "flip", "shuffle"]))
    seed = draw(st.integers(0, 2**32))

    def apply(data):
        rng = np.random.default_rng(seed)
        data = np.frombuffer(data, np.uint8).copy()
        place = rng.integers(len(data))
        if kind == "truncate":
            return data[:place].tobytes()
        if kind == "flip":
            places = rng.integers(len(data), size=rng.choice([1, 4, 64]))
            data[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
        else:
            rng.shuffle(data[place : place + rng.choice([16, 256, 4096])])
        return data.tobytes()

    return apply
