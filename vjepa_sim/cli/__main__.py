"""``python -m vjepa_sim.cli``, for torchrun."""

import sys

from vjepa_sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
