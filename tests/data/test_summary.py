"""A summary says what is there."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.data.samples import make_episode
from vjepa_sim.data.contact_sheet import contact_sheet
from vjepa_sim.data.episode import Episode
from vjepa_sim.data.formats import open_reader
from vjepa_sim.data.formats.format import Entry, Reader
from vjepa_sim.data.summary import gripper_events, summarize, text
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError


class MemoryReader(Reader):
    """Episodes in memory; what isn't an episode is an error, ``str`` in the entry already, UserError when read."""

    format = "memory"

    def __init__(self, episodes: list[Episode | str | UserError]):
        super().__init__(Path("memory"), [_entry(number, each) for number, each in enumerate(episodes)])
        self._episodes = episodes

    def read(self, number, views=None, extras=False):
        if isinstance(self._episodes[number], UserError):
            raise self._episodes[number]
        return self._episodes[number]


def _entry(number, episode):
    if isinstance(episode, str):
        return Entry(name=f"episode-{number}", error=episode)
    if isinstance(episode, UserError):
        return Entry(name=f"episode-{number}", rows=6, duration=1.25, period=0.25, cameras=("ext1",))
    return Entry(
        name=f"episode-{number}",
        rows=len(episode),
        duration=float(episode.stamps[-1] - episode.stamps[0]),
        period=episode.period,
        cameras=tuple(camera.role for camera in episode.cameras),
        height=episode.cameras[0].frames.shape[1],
        width=episode.cameras[0].frames.shape[2],
        success=episode.success,
        task=episode.task,
        gripper=episode.details.get("gripper", ""),
    )


def test_counts():
    episodes = [
        make_episode(),
        make_episode(11, seed=1, cameras=3, success=False, task="open the box"),
        make_episode(6, seed=2, success=None),
    ]
    summary = summarize(MemoryReader(episodes))
    assert (summary.episodes, summary.readable, summary.rows) == (3, 3, 23)
    assert summary.hours == pytest.approx(5 * 0.25 * 4 / 3600)
    assert summary.period == pytest.approx((0.25, 0.25, 0.25))
    assert summary.cameras == {"ext1": 3, "ext2": 1, "wrist": 1}
    assert summary.sizes == {"48 × 32": 3}
    assert (summary.successes, summary.judged) == (1, 2)
    assert summary.tasks == {"pick up the box": 2, "open the box": 1}
    assert summary.grippers == {"robotiq": 3}
    assert summary.arms == {"(unknown)": 3}


def test_action_statistics_are_of_measured_differences():
    episode = make_episode(30)
    summary = summarize(MemoryReader([episode]))
    steps = pose.difference(episode.states[:-1], episode.states[1:])
    row = summary.actions["y [m]"]
    assert row["mean"] == pytest.approx(steps[:, 1].mean())
    assert row["std"] == pytest.approx(steps[:, 1].std())
    assert row["max_abs"] == pytest.approx(np.abs(steps[:, 1]).max())
    assert row["p1"] <= row["mean"] <= row["p99"]


def test_idle_share():
    episode = make_episode(9)
    states = episode.states[[0, 1, 1, 1, 2, 3, 4, 5, 6]]
    assert summarize(MemoryReader([make_episode(9, states=states)])).idle == pytest.approx(2 / 8)


def test_gripper_events():
    assert gripper_events(np.array([0, 0.2, 0.9, 1, 0.55, 0.45, 0.55, 1, 0])) == (1, 1)
    assert gripper_events(np.zeros(5)) == (0, 0)
    assert gripper_events(np.array([1.0, 0, 1, 0])) == (1, 2)


def test_unreadable_episodes_are_counted_and_named():
    reader = MemoryReader(
        [
            make_episode(),
            "memory/episode-1: no video",
            UserError("memory/episode-2: damaged"),
            "memory/episode-3: no video",
        ]
    )
    summary = summarize(reader)
    assert (summary.episodes, summary.readable, summary.sampled) == (4, 1, 1)
    assert summary.unreadable == {"no video": 2, "damaged": 1}
    assert summary.unreadable_names == ("episode-1", "episode-2", "episode-3")
    assert "2 × no video" in text(summary) and "episode-2" in text(summary)


def test_nothing_readable_is_no_failure():
    summary = summarize(MemoryReader(["no video", "no video"]))
    assert summary.readable == 0 and summary.idle is None and summary.actions == {}
    assert "unreadable" in text(summary)
    json.dumps(summary.to_dict())


def test_a_sample_is_seeded_and_said():
    episodes = [make_episode(8, seed=seed) for seed in range(20)]
    one, other = (summarize(MemoryReader(episodes), episodes=5) for _ in range(2))
    assert one == other and one.sampled == 5 and one.episodes == 20
    assert "5 episodes measured" in text(one)
    assert summarize(MemoryReader(episodes), episodes=None).sampled == 20
    with pytest.raises(UserError, match="at least 1"):
        summarize(MemoryReader(episodes), episodes=0)


def test_real_episodes(episodes_folder):
    seen = []
    summary = summarize(open_reader(episodes_folder), on_progress=lambda done, total: seen.append((done, total)))
    assert summary.readable == summary.sampled == 6 and summary.rows == 54
    assert seen[-1] == (6, 6)
    assert json.loads(json.dumps(summary.to_dict()))["period"][0] == pytest.approx(0.25)
    assert "0.2500 s" in text(summary) and "closedness" in text(summary)


def test_contact_sheet(episodes_folder):
    reader = open_reader(episodes_folder)
    sheet = contact_sheet(reader, columns=2, rows=2)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3
    first = reader.read(0).view("left").frames[0]
    found = np.lib.stride_tricks.sliding_window_view(sheet[:40, :20], (8, 8, 3))
    assert (found == first[:8, :8]).all((-1, -2, -3)).any(), "the first frame is on the sheet as it is"
    wider = contact_sheet(reader, columns=3, rows=2)
    assert wider.shape[1] > sheet.shape[1]
    assert contact_sheet(reader, columns=50, rows=50).shape[1] < 50 * 384, (
        "no room is kept for episodes that aren't there"
    )


def test_contact_sheet_with_unreadable_episodes():
    sheet = contact_sheet(MemoryReader([make_episode(), "no video", UserError("damaged")]), columns=3, rows=1)
    assert sheet.shape[0] > 32
    with pytest.raises(UserError, match="1 × 1"):
        contact_sheet(MemoryReader([make_episode()]), columns=0)
