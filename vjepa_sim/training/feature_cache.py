"""The frozen encoder's latents of every frame, made once and kept on disk while a run needs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vjepa_sim.data.clip import Clip
from vjepa_sim.data.files import write_json
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.training.distributed import Compute
from vjepa_sim.world_model import WorldModel

BLOCK = 32  # frames that are encoded at once
TURNS = 16  # after so many blocks, what is done is noted, for a run that is stopped here
SPARE_BYTES = 2e9  # of disk that a cache leaves free
FOLDER, FEATURES_FILE, INDEX_FILE = "features", "features.float16", "features.json"


class Features:
    """Latents of a mixture's frames; read from disk, or encoded anew each time if they don't fit there.

    Attributes:
        cached: whether they are read, so that clips need no pictures.
    """

    def __init__(self, model: WorldModel, mixture: Mixture, cache: np.ndarray | None):
        self._model, self._cache = model, cache
        self.cached = cache is not None
        self._offsets = _offsets(mixture)

    def of(self, clips: list[Clip]) -> torch.Tensor:
        """Float32 [B, T, tokens, dim] of clips with T frames each, on the model's device.

        They have pictures if the latents are not :attr:`cached`.
        """
        if self._cache is not None:
            numbers = np.stack([self._offsets[clip.source] + clip.numbers for clip in clips])
            return torch.from_numpy(self._cache[numbers]).to(self._model.device).float()
        z = _encode(self._model, [clip.frames for clip in clips])
        return z.view(len(clips), -1, *z.shape[1:]).float()


def _offsets(mixture: Mixture) -> np.ndarray:
    """Number of each source's first frame when all sources' frames are counted through."""
    return np.concatenate([[0], np.cumsum([len(clips) for clips in mixture.episodes])])


def _encode(model: WorldModel, pictures: list[np.ndarray]) -> torch.Tensor:
    """All in one call of the encoder [N, tokens, dim], though the pictures' sizes may differ."""
    images = torch.cat([model.card.transform(rgb) for rgb in pictures])
    with torch.no_grad():
        return model.encoder.still(images.to(model.device))


def open_features(
    model: WorldModel,
    mixture: Mixture,
    out: Path,
    key: dict,
    compute: Compute,
    on_encoded: Callable[[int, int], None],
) -> Features:
    """Encode all frames, each process its share; go on where an earlier run stopped.

    Args:
        model: its encoder is frozen.
        mixture: of robot episodes.
        out: the run's folder, which all processes see; they lie in it until :func:`forget_features`.
        key: tells one encoder and mixture from another; JSON-compatible.
        compute: this process's part.
        on_encoded: called with the numbers of frames encoded and in all, by this process.
    """
    config, total, folder = model.card.encoder, int(_offsets(mixture)[-1]), out / FOLDER
    shape = (total, config.tokens, config.dim)
    size = 2 * int(np.prod(shape, dtype=np.int64))
    path, index = folder / FEATURES_FILE, folder / INDEX_FILE
    known = _read_index(index)
    begun = known.get("key") == key and path.exists() and path.stat().st_size == size
    folder.mkdir(parents=True, exist_ok=True)
    if not begun and compute.any(shutil.disk_usage(folder).free < size + SPARE_BYTES):
        return Features(model, mixture, None)
    if compute.is_main and not begun:
        index.unlink(missing_ok=True)
        np.memmap(path, np.float16, "w+", shape=shape)
    compute.wait()
    for clips, left_out in zip(mixture.episodes, known["left_out"] if begun else [], strict=False):
        clips.footage.left_out.update(left_out)  # what could not be decoded then has no latents now
    cache = np.memmap(path, np.float16, "r+", shape=shape)
    step = compute.ranks * BLOCK
    for turn, start in enumerate(range(known["done"] if begun else 0, total, step), start=1):
        # A sharded encoder works only when all processes call it: one that is out of frames encodes the last again.
        first = min(start + compute.rank * BLOCK, total - 1)
        numbers = np.arange(first, min(first + BLOCK, total))
        with compute.autocast():
            cache[numbers] = _encode(model, _frames_at(mixture, numbers)).half().cpu().numpy()
        if turn % TURNS == 0 or start + step >= total:
            cache.flush()
            left_out = _left_out(mixture, compute)
            if compute.is_main:
                write_json(index, {"key": key, "done": min(start + step, total), "left_out": left_out})
        on_encoded(min(start + step, total), total)
    for clips, left_out in zip(mixture.episodes, _left_out(mixture, compute), strict=True):
        clips.footage.left_out.update(left_out)
        clips.exclude(set(left_out))
    return Features(model, mixture, cache)


def forget_features(out: Path, compute: Compute) -> None:
    """Remove what :func:`open_features` left in a run's folder."""
    if compute.is_main:
        shutil.rmtree(out / FOLDER, ignore_errors=True)


def _left_out(mixture: Mixture, compute: Compute) -> list[dict[str, str]]:
    """What any process has left out, by source; when it is back, all processes have come this far."""
    return [compute.union(clips.footage.left_out.reasons) for clips in mixture.episodes]


def _frames_at(mixture: Mixture, numbers: np.ndarray) -> list[np.ndarray]:
    """Pictures of frames by their numbers [N], sorted, counted through all sources; a part for each source."""
    offsets = _offsets(mixture)
    parts = np.split(numbers, np.searchsorted(numbers, offsets[1:-1]))
    return [
        clips.frames_at(part - offset)
        for clips, part, offset in zip(mixture.episodes, parts, offsets, strict=False)
        if len(part)
    ]


def _read_index(path: Path) -> dict:
    """What an earlier run finished; empty if there was none."""
    try:
        content = json.loads(path.read_text())
        return {"key": content["key"], "done": int(content["done"]), "left_out": list(content["left_out"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
