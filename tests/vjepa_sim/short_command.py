"""A command of the command line with short measurements: ``python -m tests.vjepa_sim.short_command VERB …``."""

import sys

import pytest

from tests.short_measurements import shorten
from vjepa_sim.cli import main

if __name__ == "__main__":
    shorten(pytest.MonkeyPatch())
    sys.exit(main())
