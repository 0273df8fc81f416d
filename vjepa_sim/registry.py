"""Kinds of world models by name, and how a checkpoint of any kind is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.checkpoint import CARD_FILE, find_checkpoint, is_released
from vjepa_sim.data.files import read_json_object
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.registry import Registry
from vjepa_sim.protocols import LatentDynamics
from vjepa_sim.world_model import WorldModel

OURS = "v-jepa-2"  # what a card means that names no kind


@dataclass(frozen=True)
class WorldModelSpec:
    """A kind of world model.

    Attributes:
        name: as on its card: the field ``world_model``.
        load: from the folder of a checkpoint.
    """

    name: str
    load: Callable[[Path], LatentDynamics]


WORLD_MODELS: Registry[WorldModelSpec] = Registry("world model")
WORLD_MODELS.register(WorldModelSpec(OURS, WorldModel.from_pretrained))


def load_world_model(source: str | Path) -> LatentDynamics:
    """Load whatever world model a checkpoint holds.

    Args:
        source: a bundled name, a folder, or a released file, see :func:`.find_checkpoint`.

    Raises:
        UserError: there is no such checkpoint, its kind isn't known (is its plugin loaded?), or a file is damaged.
    """
    path = find_checkpoint(source)
    kind = OURS if is_released(path) else read_json_object(path / CARD_FILE).get("world_model", OURS)
    if kind not in WORLD_MODELS:
        raise UserError(
            f"{path} holds a world model of kind {kind!r}; known here are {', '.join(WORLD_MODELS)}. Name the plugin "
            "that brings it: --plugin MODULE."
        )
    return WORLD_MODELS[kind].load(path)
