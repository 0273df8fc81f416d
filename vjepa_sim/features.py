"""The frozen encoder's latents of every frame, made once and kept on disk while a run needs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from data.clips import Clips
from data.provenance import write_json
from vjepa_sim.compute import Compute
from vjepa_sim.world_model import WorldModel

BLOCK = 32  # frames that are encoded at once
TURNS = 16  # after so many blocks, what is done is noted, for a run that is stopped here
SPARE_BYTES = 2e9  # of disk that a cache leaves free
FEATURES_FILE, INDEX_FILE = "features.float16", "features.json"


class Features:
    """Latents by frame number; read from disk, or encoded anew each time if they don't fit there."""

    def __init__(self, model: WorldModel, clips: Clips, cache: np.ndarray | None):
        self._model, self._clips, self._cache = model, clips, cache

    def __getitem__(self, index: np.ndarray) -> torch.Tensor:
        """Float32 [*index.shape, tokens, dim] on the model's device."""
        if self._cache is not None:
            return torch.from_numpy(self._cache[index]).to(self._model.device).float()
        z = self._model.encode(self._clips.frames[index.ravel()])
        return z.view(*index.shape, *z.shape[1:]).float()


def open_features(
    model: WorldModel,
    clips: Clips,
    folder: Path,
    key: dict,
    compute: Compute,
    on_encoded: Callable[[int, int], None],
) -> Features:
    """Encode all frames into a folder that all processes see, each its share; go on where an earlier run stopped.

    Args:
        model: its encoder is frozen.
        clips: the frames.
        folder: of the cache.
        key: tells one encoder and data set from another; JSON-compatible.
        compute: this process's part.
        on_encoded: called with the numbers of frames encoded and in all, by this process.
    """
    config = model.card.encoder
    shape = (len(clips), config.tokens, config.dim)
    size = 2 * int(np.prod(shape, dtype=np.int64))
    path, index = folder / FEATURES_FILE, folder / INDEX_FILE
    known = _read_index(index)
    begun = known.get("key") == key and path.exists() and path.stat().st_size == size
    folder.mkdir(parents=True, exist_ok=True)
    if not begun and compute.any(shutil.disk_usage(folder).free < size + SPARE_BYTES):
        return Features(model, clips, None)
    if compute.is_main and not begun:
        index.unlink(missing_ok=True)
        np.memmap(path, np.float16, "w+", shape=shape)
    compute.wait()
    cache = np.memmap(path, np.float16, "r+", shape=shape)
    step = compute.ranks * BLOCK
    for turn, start in enumerate(range(known["done"] if begun else 0, len(clips), step), start=1):
        # A sharded encoder works only when all processes call it: one that is out of frames encodes the last again.
        first = min(start + compute.rank * BLOCK, len(clips) - 1)
        with compute.autocast():
            cache[first : first + BLOCK] = model.encode(clips.frames[first : first + BLOCK]).half().cpu().numpy()
        if turn % TURNS == 0 or start + step >= len(clips):
            cache.flush()
            compute.wait()
            if compute.is_main:
                write_json(index, {"key": key, "done": min(start + step, len(clips))})
        on_encoded(min(start + step, len(clips)), len(clips))
    compute.wait()
    return Features(model, clips, cache)


def _read_index(path: Path) -> dict:
    """What an earlier run finished; empty if there was none."""
    try:
        content = json.loads(path.read_text())
        return {"key": content["key"], "done": int(content["done"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
