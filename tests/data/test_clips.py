import numpy as np
import pytest

from data.clips import load_clips, parse_source
from envs import pose
from envs.errors import UserError


def test_clips_stay_within_an_episode(clips):
    rng = np.random.default_rng(0)
    index = clips.draw(rng, batch=64, length=3, stride=2)
    assert index.shape == (64, 3)
    episode = np.searchsorted(clips.starts, index, side="right") - 1
    assert np.all(episode == episode[:, :1])
    assert np.all(np.diff(index) == 2)
    assert set(episode.ravel()) <= set(clips.training_episodes)


def test_actions_lead_from_state_to_state(clips):
    index = clips.draw(np.random.default_rng(1), batch=8, length=4)
    actions = clips.actions(index)
    assert actions.shape == (8, 3, 7)
    reached = pose.integrate(clips.states[index][:, :-1], actions)
    np.testing.assert_allclose(reached[..., :3], clips.states[index][:, 1:, :3], atol=1e-5)
    np.testing.assert_allclose(reached[..., 6], clips.states[index][:, 1:, 6], atol=1e-5)


def test_the_record_has_the_seeds(clips):
    assert clips.record["episodes"] == 6
    assert clips.record["frames"] == len(clips) == 54
    assert len(set(clips.record["seeds"])) == 6
    assert clips.period == pytest.approx(0.25, abs=1e-6)


def test_too_long_a_clip_is_refused(clips):
    with pytest.raises(UserError, match="longest has 9"):
        clips.draw(np.random.default_rng(0), 1, length=10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder", "expected FORMAT:FOLDER"),
        ("sin:x", "Did you mean 'sim'"),
        ("sim:", "FORMAT"),
        ("sim:x@much", "weight 'much'"),
        ("sim:x@-1", "no number above 0"),
    ],
)
def test_bad_sources_are_named(text, message):
    with pytest.raises(UserError, match=message):
        parse_source(text)


def test_an_absent_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        load_clips([f"sim:{tmp_path / 'nowhere'}"])
