from dataclasses import replace

import numpy as np
import pytest

from tests.data.lint.check import check, names
from vjepa_sim.data.episode import Episode

pytestmark = pytest.mark.slow


def test_gaps_are_counted_in_rows(good):
    keep = np.r_[0:6, 8:19]
    (finding,) = [each for each in check([_rows(good[0], keep)]) if each.check == "gaps"]
    assert finding.row == 6 and "about 2 rows missing" in finding.what


def _rows(episode, keep):
    cameras = tuple(
        replace(camera, frames=camera.frames[keep], extrinsics=camera.extrinsics[keep]) for camera in episode.cameras
    )
    return Episode(cameras, episode.states[keep], episode.stamps[keep], joints=episode.joints[keep])


def test_jitter_and_drift(good):
    stamps = good[0].stamps
    jittered = replace(good[0], stamps=stamps + 0.03 * (-1.0) ** np.arange(len(stamps)))
    assert "jitter" in names(check([jittered]))
    wandering = replace(good[0], stamps=stamps + 0.005 * np.arange(len(stamps)) ** 2)
    assert "drift" in names(check([wandering]))


def test_another_rate_than_the_others(good):
    slow = replace(good[2], stamps=good[2].stamps * 1.2)
    (finding,) = check([*good[:2], slow, *good[3:]])
    assert (finding.check, finding.number) == ("period", 2) and "0.3000 s" in finding.what
