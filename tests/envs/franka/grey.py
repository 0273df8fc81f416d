"""A camera for tests that need no picture."""

from __future__ import annotations

import time

import numpy as np


class GreySource:
    """A camera that sees nothing, a hundred times a second."""

    broken = closed = False

    def read(self):
        time.sleep(0.01)
        if self.broken:
            raise OSError("the cable is out")
        return np.full((16, 16, 3), 128, np.uint8)

    def reopen(self):
        pass

    def close(self):
        self.closed = True
