"""Registry of the kinds of world models, and loading of checkpoints of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vjepa_sim.checkpoint import CARD_FILE, find_checkpoint, is_released
from vjepa_sim.data.files import read_json_object
from vjepa_sim.envs.errors import UserError, naming_part
from vjepa_sim.envs.registry import Registry
from vjepa_sim.networks import OURS
from vjepa_sim.protocols import LatentDynamics
from vjepa_sim.world_model import WorldModel


@dataclass(frozen=True)
class WorldModelSpec:
    """A kind of world model.

    Attributes:
        name: Name on cards: the field ``world_model``.
        load: Loads a model from the folder of a checkpoint.
    """

    name: str
    load: Callable[[Path], LatentDynamics]


WORLD_MODELS: Registry[WorldModelSpec] = Registry("world model", WorldModelSpec)
WORLD_MODELS.register(WorldModelSpec(OURS, WorldModel.from_pretrained))


def load_world_model(source: str | Path) -> LatentDynamics:
    """Load the world model of a checkpoint, of whatever kind it is.

    Args:
        source: Name of a bundled checkpoint, a folder, or a released file, see :func:`.find_checkpoint`.

    Raises:
        UserError: There is no such checkpoint, its kind is unknown (its plugin isn't loaded), or a file is damaged.
    """
    path = find_checkpoint(source)
    kind = OURS if is_released(path) else read_json_object(path / CARD_FILE).get("world_model", OURS)
    if kind not in WORLD_MODELS:
        raise UserError(
            f"{path} holds a world model of kind {kind!r}; known here are {', '.join(WORLD_MODELS)}. Name the plugin "
            "that brings it: --plugin MODULE."
        )
    load = WORLD_MODELS[kind].load
    with naming_part(f"World model {kind!r}", load):
        return load(path)
