from dataclasses import replace

import numpy as np
import pytest

from tests.data.lint.changes import held, with_frames
from tests.data.lint.check import check

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("first", "last", "place"), [(0, 10, "start"), (6, 16, "between"), (8, 18, "end")])
def test_idle_stretches(good, first, last, place):
    (finding,) = check([held(good[0], first, last)])
    assert (finding.check, finding.row) == ("idle", first)
    assert place in finding.what and f"rows {first} to {last}" in finding.what


def test_a_pause_is_no_idling(good):
    assert check([held(good[0], 5, 11)]) == []


def test_released_clutch(good):
    enabled = np.ones(19, bool)
    enabled[4:8] = False
    (finding,) = check([replace(good[0], extras={"observation/controller_info/movement_enabled": enabled})])
    assert (finding.check, finding.row) == ("clutch", 4) and "4 of 19 rows" in finding.what


def test_repeated_frames(good):
    rows = np.arange(19)
    rows[9] = 8
    (finding,) = check([with_frames(good[1], rows)])
    assert (finding.check, finding.row) == ("repeated frames", 9)
