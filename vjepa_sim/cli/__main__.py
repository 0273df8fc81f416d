"""``python -m vjepa_sim.cli``, as torchrun calls it."""

import sys

from vjepa_sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
