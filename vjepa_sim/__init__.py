"""The world model: encoder, predictors, training. Importing this registers the Gymnasium environments."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import vjepa_sim.envs  # noqa: F401  (registers vjepa_sim/Franka…-v0; loads no simulator)
    from vjepa_sim.envs.errors import UserError
    from vjepa_sim.envs.plugins import load_plugins

    with suppress(UserError):  # raised again at the first look-up in a registry, where a command can report it
        load_plugins()  # their tasks and arms have ids of Gymnasium, too
except KeyboardInterrupt:
    if Path(sys.argv[0]).stem != "vjepa-sim" and "vjepa_sim.cli" not in sys.orig_argv:
        raise
    print("vjepa-sim: stopped.", file=sys.stderr)  # as vjepa_sim.cli does, which imports this first
    sys.exit(130)

if TYPE_CHECKING:
    from vjepa_sim.world_model import WorldModel

__version__ = "0.1.0"
__all__ = ["WorldModel", "__version__"]


def __getattr__(name: str):
    """Load PyTorch only when the world model is asked for."""
    if name == "WorldModel":
        from vjepa_sim.world_model import WorldModel

        return WorldModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
