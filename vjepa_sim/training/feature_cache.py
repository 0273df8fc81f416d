"""Cache of the frozen encoder's latents of all frames, on disk for the duration of a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.files import write_json
from vjepa_sim.data.mixture import Mixture
from vjepa_sim.training.distributed import Compute
from vjepa_sim.world_model import WorldModel

BLOCK = 32  # frames per call of the encoder
TURNS = 16  # blocks between two notes of the progress, from which a stopped run resumes
SPARE_BYTES = 2e9  # disk space that a cache leaves free
FOLDER, FEATURES_FILE, INDEX_FILE = "features", "features.float16", "features.json"


class Features:
    """Latents of a mixture's frames, read from the cache, or encoded each time if the cache doesn't fit on the disk.

    Attributes:
        cached: Whether the latents are cached, so that clips need no images.
    """

    def __init__(self, model: WorldModel, mixture: Mixture, cache: np.ndarray | None):
        self._model, self._cache = model, cache
        self.cached = cache is not None
        self._offsets = _offsets(mixture)

    def of(self, clips: Sequence[RobotClip]) -> torch.Tensor:
        """Latents of B clips.

        Args:
            clips: Clips of T frames each; with images, unless the latents are :attr:`cached`.

        Returns:
            Latents, float32 [B, T, tokens, dim], on the model's device.
        """
        if self._cache is not None:
            numbers = np.stack([self._offsets[clip.source] + clip.numbers for clip in clips])
            return torch.from_numpy(self._cache[numbers]).to(self._model.device).float()
        z = _encode(self._model, [torch.from_numpy(clip.frames) for clip in clips])
        return z.view(len(clips), -1, *z.shape[1:]).float()


def _offsets(mixture: Mixture) -> np.ndarray:
    """Number of each data set's first frame, if the frames of all data sets are numbered consecutively."""
    return np.concatenate([[0], np.cumsum([len(clips) for clips in mixture.episodes])])


def _encode(model: WorldModel, frames: Sequence[np.ndarray | torch.Tensor]) -> torch.Tensor:
    """Encode images of different sizes in one call: latents [N, tokens, dim]."""
    images = torch.cat([model.card.transform(rgb) for rgb in frames])
    with torch.no_grad():
        return model.encoder.still(images.to(model.device))


def open_features(
    model: WorldModel,
    mixture: Mixture,
    out: Path,
    *,
    key: dict,
    compute: Compute,
    on_encoded: Callable[[int, int], None],
) -> Features:
    """Encode all frames, each process its share, or resume where an earlier run stopped.

    Args:
        model: Model with a frozen encoder.
        mixture: Data, robot episodes only.
        out: Folder of the run, shared by all processes; it holds the cache until :func:`forget_features`.
        key: Identity of encoder and mixture, JSON-compatible; a cache with another key is discarded.
        compute: This process's part of the work.
        on_encoded: Called with the number of frames encoded so far and in all.

    Returns:
        The latents; not cached if the disk is too small.
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
        clips.footage.left_out.update(left_out)  # frames that could not be decoded have no latents
    cache = np.memmap(path, np.float16, "r+", shape=shape)
    step = compute.ranks * BLOCK
    for turn, start in enumerate(range(known["done"] if begun else 0, total, step), start=1):
        # A sharded encoder works only when all processes call it: one without frames left encodes the last one again.
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
    """Remove the cache of :func:`open_features` from the folder of a run."""
    if compute.is_main:
        shutil.rmtree(out / FOLDER, ignore_errors=True)


def _left_out(mixture: Mixture, compute: Compute) -> list[dict[str, str]]:
    """Episodes that any process has left out, per data set; all processes wait for each other here."""
    return [compute.union(clips.footage.left_out.reasons) for clips in mixture.episodes]


def _frames_at(mixture: Mixture, numbers: np.ndarray) -> list[np.ndarray]:
    """Images of frames by their sorted, consecutive numbers [N], as one array per data set."""
    offsets = _offsets(mixture)
    parts = np.split(numbers, np.searchsorted(numbers, offsets[1:-1]))
    return [
        clips.frames_at(part - offset)
        for clips, part, offset in zip(mixture.episodes, parts, offsets, strict=False)
        if len(part)
    ]


def _read_index(path: Path) -> dict:
    """Progress of an earlier run; empty if there was none."""
    try:
        content = json.loads(path.read_text())
        return {"key": content["key"], "done": int(content["done"]), "left_out": list(content["left_out"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
