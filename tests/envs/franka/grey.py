"""A camera for tests that need no picture."""

from __future__ import annotations

import time

import numpy as np


class GreySource:
    """A camera that sees grey noise, a hundred times a second; or as a test says, black, the same, or larger images."""

    broken = closed = black = frozen = False
    size = 16

    def __init__(self):
        self._rng = np.random.default_rng(0)

    def read(self):
        time.sleep(0.01)
        if self.broken:
            raise OSError("the cable is out")
        if self.black:
            return np.zeros((self.size, self.size, 3), np.uint8)
        rng = np.random.default_rng(0) if self.frozen else self._rng
        return rng.integers(60, 200, (self.size, self.size, 3), np.uint8)

    def reopen(self):
        pass

    def close(self):
        self.closed = True
