"""Waiting for what other threads do."""

import time

PATIENCE = 30.0  # s; for things that take milliseconds on an idle machine
AT_ONCE = 1.0  # s; far more than a call that doesn't wait needs, far less than hardware that hangs


def wait_for(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)
