"""Clips drawn by time."""

from dataclasses import replace

import numpy as np
import pytest

from tests.data.memory import Memory, at_rate, draws, rows_of
from vjepa_sim.data.clips import PERIODS, Clips, parse_period
from vjepa_sim.data.frames import LazyFrames
from vjepa_sim.data.mixture import load_mixture, parse_source
from vjepa_sim.envs import pose
from vjepa_sim.envs.errors import UserError


@pytest.mark.parametrize("rate", [4.0, 15.0, 14.2, 60.0])
def test_frames_are_a_period_apart_whatever_the_rate(rate):
    """15 Hz has no row every 0.25 s; the nearest are taken, and the rounding never adds up."""
    clips = Clips(Memory([at_rate(rate, seed=i) for i in range(3)]), period=0.25)
    frames = 4
    for clip in draws(clips, 50, frames=frames):
        times = rows_of(clip) / rate
        wanted = times[0] + 0.25 * np.arange(frames)
        assert np.abs(times - wanted).max() <= 0.5 / rate + 1e-9


def test_the_released_period_is_longer():
    assert PERIODS == {"paper": 0.25, "released": 1.06}
    clips = Clips(Memory([at_rate(15.0) for _ in range(3)]), parse_period("released"))
    steps = np.diff([rows_of(clip) for clip in draws(clips, 50, frames=3)])
    assert set(steps.ravel()) <= {15, 16}


def test_a_stride_multiplies_the_period():
    clips = Clips(Memory([at_rate(4.0) for _ in range(3)]), 0.25)
    for clip in draws(clips, 20, frames=3, stride=2):
        assert list(np.diff(rows_of(clip))) == [2, 2]


@pytest.mark.parametrize("rate", [4.0, 15.0, 14.2])
def test_a_step_lasts_just_a_period(rate):
    """A hand that moves evenly moves by equal actions, though the rows don't fall on the times."""
    episode = at_rate(rate)
    states = np.zeros((60, 7))
    states[:, 0] = 0.1 * (episode.stamps - 100)
    states[:, 5] = 3.0 + 0.2 * (episode.stamps - 100)  # through the jump of the angle at pi
    states[:, 5] = (states[:, 5] + np.pi) % (2 * np.pi) - np.pi
    clips = Clips(Memory([replace(episode, states=states) for _ in range(3)]), 0.25)
    for clip in draws(clips, 30, frames=4, images=False):
        np.testing.assert_allclose(clip.actions[:, 0], 0.025, atol=1e-6)
        np.testing.assert_allclose(clip.actions[:, 5], 0.05, atol=1e-5)


def test_where_rows_fall_on_the_times_they_are_taken_as_they_are():
    episodes = [at_rate(4.0, seed=i) for i in range(3)]
    clips = Clips(Memory(episodes), 0.25)
    for clip in draws(clips, 20, frames=3):
        number = int(np.searchsorted(clips.starts, clip.numbers[0], side="right") - 1)
        np.testing.assert_array_equal(clip.numbers - clips.starts[number], rows_of(clip))
        np.testing.assert_array_equal(clip.states, episodes[number].states[rows_of(clip)].astype(np.float32))
        reached = pose.integrate(clip.states[:-1], clip.actions)
        np.testing.assert_allclose(reached[:, :3], clip.states[1:, :3], atol=1e-5)


def test_training_and_held_out_clips_share_no_episode():
    clips = Clips(Memory([at_rate(4.0, rows=10, seed=i) for i in range(40)]), 0.25)
    of = {}
    for held_out in (False, True):
        drawn = draws(clips, 200, frames=2, held_out=held_out, images=False)
        of[held_out] = {int(np.searchsorted(clips.starts, clip.numbers[0], side="right")) for clip in drawn}
        assert all(clip.frames is None for clip in drawn)
    assert not of[False] & of[True]
    assert len(of[True]) == 2


def test_long_episodes_are_drawn_more_often():
    clips = Clips(Memory([at_rate(4.0, rows=10), at_rate(4.0, rows=10), at_rate(4.0, rows=46)]), 0.25)
    clips.training_episodes = np.arange(3)
    long = [clip.numbers[0] >= clips.starts[2] for clip in draws(clips, 400, frames=6, images=False)]
    assert np.mean(long) == pytest.approx(41 / 51, abs=0.06)


def test_no_clip_spans_a_gap():
    episode = at_rate(15.0)
    stamps = episode.stamps.copy()
    stamps[30:] += 3.0
    clips = Clips(Memory([replace(episode, stamps=stamps) for _ in range(3)]), 0.25)
    for clip in draws(clips, 100, frames=4):
        assert (rows_of(clip) < 30).all() or (rows_of(clip) >= 30).all()


def test_bad_episodes_are_named_counted_and_left_out(caplog):
    episodes = [at_rate(4.0, seed=i) for i in range(30)]
    episodes[7] = None
    reader = Memory(episodes)
    clips = Clips(reader, 0.25)
    clips.training_episodes = np.arange(30)
    for clip in draws(clips, 200, frames=2):
        assert not clips.starts[7] <= clip.numbers[0] < clips.starts[8]
    assert list(clips.footage.left_out.reasons) == ["7"]
    assert [record.message for record in caplog.records] == ["Left out of memory: episode 7 is damaged"]


def test_too_many_bad_episodes_are_an_error():
    episodes = [None if i in (8, 12, 17, 25) else at_rate(4.0, seed=i) for i in range(30)]
    clips = Clips(Memory(episodes), 0.25)
    clips.training_episodes = np.arange(30)
    with pytest.raises(UserError, match=r"4 of 30 episodes .* at most 10% may be bad"):
        draws(clips, 500, frames=2)
    with pytest.raises(UserError, match="at most 10%"):
        clips.load(1e9, 1)


class Damaged(LazyFrames):
    """Frames of which one can't be decoded."""

    def __init__(self, frames, row):
        super().__init__("damaged", *frames.shape[:3])
        self.frames, self.row = frames, row

    def _load(self, wanted):
        if self.row in wanted:
            raise UserError(f"frame {self.row} is damaged")
        yield from self.frames[wanted]


@pytest.mark.slow
def test_what_is_drawn_depends_on_the_seed_alone():
    """Not on what is in memory, nor on which bad episodes have been met before, nor on who draws the others."""
    episodes = [at_rate(4.0, seed=i) for i in range(30)]
    episodes[5] = None
    camera = episodes[9].cameras[0]
    episodes[9] = replace(episodes[9], cameras=(replace(camera, frames=Damaged(camera.frames, 50)),))

    def fresh():
        clips = Clips(Memory(episodes), 0.25)
        clips.training_episodes = np.arange(30)
        return clips

    streamed, loaded = fresh(), fresh()
    assert loaded.load(1e9, 2)
    assert not streamed.load(10.0, 2)
    seeds = range(150)
    one_by_one = [fresh().draw_clip(np.random.default_rng([3, i]), frames=3) for i in seeds]
    backwards = [streamed.draw_clip(np.random.default_rng([3, i]), frames=3) for i in reversed(seeds)][::-1]
    for others in (draws(streamed, 150, frames=3), draws(loaded, 150, frames=3), backwards):
        for first, second in zip(one_by_one, others, strict=True):
            np.testing.assert_array_equal(first.numbers, second.numbers)
            np.testing.assert_array_equal(first.frames, second.frames)
    assert set(streamed.footage.left_out.reasons) == {"5", "9"}


def test_what_is_held_out_can_be_read():
    """One episode is held out of twelve; if it were bad, nothing could be measured."""
    episodes = [at_rate(4.0, seed=i) for i in range(12)]
    (first,) = Clips(Memory(episodes), 0.25).held_out_episodes
    episodes[first] = None
    clips = Clips(Memory(episodes), 0.25)
    assert first not in clips.held_out_episodes
    assert draws(clips, 5, frames=2, held_out=True)


def test_excluded_episodes_are_not_drawn():
    clips = Clips(Memory([at_rate(4.0, seed=i) for i in range(6)]), 0.25)
    clips.exclude({"2", "3"})
    starts = [clip.numbers[0] for clip in draws(clips, 100, frames=2, images=False)]
    assert not any(clips.starts[2] <= start < clips.starts[4] for start in starts)


def test_a_sample_is_of_good_episodes():
    episodes = [at_rate(4.0, rows=10, seed=i) for i in range(20)]
    episodes[5] = None
    sample = Clips(Memory(episodes), 0.25).sample(np.random.default_rng(0), 1000)
    assert len(sample.frames) == 190
    assert 5 not in sample.episodes
    assert np.isfinite(sample.objects).all()


@pytest.mark.parametrize(("rate", "period"), [(4.0, 0.2), (4.0, 0.375), (1.0, 0.25)])
def test_a_period_that_the_rows_do_not_give_is_refused(rate, period):
    with pytest.raises(UserError, match=r"rows are .* apart"):
        Clips(Memory([at_rate(rate) for _ in range(3)]), period)


def test_a_clip_that_no_episode_has_room_for_is_refused(clips):
    with pytest.raises(UserError, match=r"10 frames spans 2\.25 s"):
        clips.draw_clip(np.random.default_rng(0), frames=10)


def test_an_absent_camera_is_named():
    with pytest.raises(UserError, match="no episode has a camera 'wrist'; there is ext1"):
        Clips(Memory([at_rate(4.0) for _ in range(3)]), 0.25, view="wrist")


def test_pictures_of_another_size_are_left_out():
    episodes = [at_rate(4.0, seed=i) for i in range(20)]
    reader = Memory(episodes)
    reader.entries[4] = replace(reader.entries[4], height=64)
    clips = Clips(reader, 0.25)
    assert "48 × 64" in clips.footage.left_out.reasons["4"]
    assert len(clips.lengths) == 19


def test_the_record_has_the_seeds(clips):
    assert clips.record["episodes"] == 6
    assert clips.record["frames"] == len(clips) == 54
    assert len(set(clips.record["seeds"])) == 6
    assert clips.record["grippers"] == ["robotiq"]
    assert clips.record["arms"] == ["panda"]


def test_the_record_leaves_out_arms_that_are_unknown():
    arms = ("", "ur5e", "ur5e", "panda")
    reader = Memory([at_rate(4.0, seed=number) for number in range(len(arms))])
    reader.entries = [replace(entry, arm=arm) for entry, arm in zip(reader.entries, arms, strict=True)]
    assert Clips(reader, 0.25).record["arms"] == ["panda", "ur5e"]


@pytest.mark.parametrize("text", ["paper", "released", "0.5"])
def test_periods_have_names(text):
    assert parse_period(text) == PERIODS.get(text, 0.5)


@pytest.mark.parametrize(
    ("text", "message"), [("papr", "Did you mean 'paper'"), ("0", "more than 0"), ("nan", "more than 0")]
)
def test_bad_periods_are_named(text, message):
    with pytest.raises(UserError, match=message):
        parse_period(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder", "expected FORMAT:PATH"),
        ("sin:x", "Did you mean 'sim'"),
        ("sim:", "FORMAT"),
        ("sim:x@much", "weight 'much'"),
        ("sim:x@-1", "not a number above 0"),
    ],
)
def test_bad_sources_are_named(text, message):
    with pytest.raises(UserError, match=message):
        parse_source(text)


def test_an_absent_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        load_mixture([f"sim:{tmp_path / 'nowhere'}"])


def test_smaller_pictures_on_request(episodes_folder):
    small = load_mixture([f"sim:{episodes_folder}"], short_side=64).episodes[0]
    assert small.footage.frame_shape == (64, 64)


@pytest.mark.parametrize("column", [0, 3, 6])
def test_degrees_and_centimetres_are_left_out(column):
    episode = at_rate(4.0)
    states = episode.states.copy()
    states[:, column] *= 100
    with pytest.raises(UserError, match="expected metres, radians"):
        Clips(Memory([replace(episode, states=states) for _ in range(3)]), 0.25)


def test_a_serial_that_is_nowhere_is_no_damage():
    clips = Memory([at_rate(4.0, seed=i) for i in range(3)])
    with pytest.raises(UserError, match=r"no camera 'nose'; there is left, right, .* or left"):
        Clips(clips, 0.25, view="nose")


def test_one_camera_is_not_the_right_one():
    with pytest.raises(UserError, match="no episode has a camera 'right'"):
        Clips(Memory([at_rate(4.0) for _ in range(3)]), 0.25, view="right")


@pytest.mark.parametrize("rate", [4.0, 15.0])
def test_a_command_is_the_last_one_before_the_period_ends(rate):
    """At 15 Hz three more commands follow within a quarter of a second, and the last says where the arm went."""
    commands = np.zeros((60, 7))
    commands[:, 0] = np.arange(60)
    clips = Clips(Memory([replace(at_rate(rate), commands=commands) for _ in range(3)]), 0.25)
    for clip in draws(clips, 50, frames=3):
        later = np.ceil(rows_of(clip)[0] + (np.arange(3) + 1) * 0.25 * rate - 1e-6) - 1
        np.testing.assert_array_equal(clip.commands[:, 0], np.minimum(later, 59))


def test_commands_are_those_of_the_frames_and_what_is_unknown_is_not_a_number():
    episode = at_rate(4.0)
    for source, expected in ((episode, episode.commands), (replace(episode, commands=None), None)):
        clip = draws(Clips(Memory([source] * 3), 0.25), 1, frames=3)[0]
        if expected is None:
            assert np.isnan(clip.commands).all()
        else:
            np.testing.assert_allclose(clip.commands, expected[rows_of(clip)], rtol=1e-6)
