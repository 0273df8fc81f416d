import threading
import weakref

import pytest

from tests.envs.waiting import PATIENCE, wait_for
from vjepa_sim.envs.timeout import bounded


def test_bounded_passes_on_results_and_exceptions():
    assert bounded(lambda: 3, PATIENCE) == 3
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, PATIENCE)


def test_what_bounded_is_given_too_late_is_let_go_of():
    """Though somebody keeps the exception, whose traceback holds the call's own variables."""

    class Connection:
        pass

    free, made = threading.Event(), []

    def connect():
        free.wait(PATIENCE)
        connection = Connection()
        made.append(weakref.ref(connection))
        return connection

    with pytest.raises(TimeoutError) as kept:
        bounded(connect, 0.01)
    free.set()
    wait_for(lambda: made and made[0]() is None)
    assert kept.value
