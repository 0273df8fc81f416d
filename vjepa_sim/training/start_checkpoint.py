"""The checkpoint that a training starts from, if it is made for this training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vjepa_sim.checkpoint import CARD_FILE
from vjepa_sim.training.distributed import Compute
from vjepa_sim.world_model import WorldModel

START_FILE = "start.json"


def start_checkpoint(out: Path, settings: dict[str, Any], make: Callable[[], WorldModel], compute: Compute) -> str:
    """Make a checkpoint, in the main process alone; a run that is resumed finds it made.

    Args:
        out: Folder of the checkpoint.
        settings: What the checkpoint depends on, JSON-compatible.
        make: Returns the model.
        compute: This process's part of the work.

    Returns:
        ``out``, as the name of a checkpoint.

    Raises:
        UserError: The folder holds a checkpoint with other settings, or something else.
    """
    with compute.claimed(out, START_FILE, settings):
        if compute.is_main and not (out / CARD_FILE).exists():
            make().save_pretrained(out)
    compute.wait()
    return str(out)
