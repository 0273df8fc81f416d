"""Moments drawn with a goal."""

from dataclasses import replace

import numpy as np

from tests.data.memory import Memory, at_rate, rows_of
from vjepa_sim.data.clips import Clips
from vjepa_sim.envs import pose


def pairs(clips, count, farthest, **named):
    return [clips.draw_pair(np.random.default_rng([5, i]), farthest, **named) for i in range(count)]


def test_a_pair_is_a_moment_and_a_later_one_of_its_episode():
    clips = Clips(Memory([at_rate(4.0, rows=12, seed=i) for i in range(4)]), 0.25)
    drawn = pairs(clips, 300, farthest=5)
    assert {pair.stride for pair in drawn} == {0, 1, 2, 3, 4, 5}
    for pair in drawn:
        assert np.diff(rows_of(pair)) == pair.stride
        assert np.diff(pair.numbers) == pair.stride
    ends = {int(start + length - 1) for start, length in zip(clips.starts, clips.lengths, strict=True)}
    assert 0.45 < np.mean([int(pair.numbers[1]) in ends for pair in drawn]) < 0.7  # many of them, and some by chance
    assert {pair.stride for pair in pairs(clips, 300, farthest=50)} == set(range(12))  # as far as episodes last


def test_toward_the_end_counts_what_was_meant_and_toward_other_moments_what_was_done_on_purpose():
    episode = at_rate(4.0, rows=12)
    meant = episode.commands.copy()
    meant[::2, 0] += 0.05  # every other command was noise
    meant[1::2, 0] += 0.002
    clips = Clips(Memory([replace(episode, privileged={**episode.privileged, "meant_command": meant})] * 3), 0.25)
    seen = set()
    for pair in pairs(clips, 300, farthest=5):
        first, last = rows_of(pair)
        if not pair.stride:
            continue
        if np.allclose(pair.commands[0], meant[first]):
            seen.add("meant")
            assert last == len(episode) - 1
        elif first % 2:
            seen.add("done")
            np.testing.assert_allclose(pair.commands[0], episode.commands[first], rtol=1e-6)
        else:
            seen.add("noise")
            assert np.isnan(pair.commands[0]).all()
    assert seen == {"meant", "done", "noise"}


def test_where_the_goal_is_the_moment_itself_the_command_is_to_stay():
    episode = at_rate(4.0, rows=12)
    seen = [pair for pair in pairs(Clips(Memory([episode] * 3), 0.25), 1500, farthest=5) if not pair.stride]
    assert {int(rows_of(pair)[0]) for pair in seen} == set(range(12))
    for pair in seen:
        first, last = rows_of(pair)
        assert first == last
        np.testing.assert_array_equal(pair.states[0], pair.states[1])
        sent_before = (
            episode.commands[first - 1] if first else np.full(7, np.nan)
        )  # nobody knows how it came to the start
        np.testing.assert_allclose(pair.commands[0], sent_before, rtol=1e-6)


def test_a_chunk_is_what_was_done_until_the_goal_and_then_to_stay():
    episode = at_rate(4.0, rows=12)
    clips = Clips(Memory([episode] * 3), 0.25)
    assert pairs(clips, 1, farthest=5)[0].chunk is None
    seen = set()
    for pair in pairs(clips, 300, farthest=5, chunk=4):
        first, last = rows_of(pair).astype(int)
        rows = np.arange(first, first + 4)
        states, sent = episode.states[np.minimum(rows, last)], np.minimum(rows, last - 1)
        if sent[0] < 0:  # nobody knows how it came to the start
            assert np.isnan(pair.chunk).all()
            continue
        expected = pose.difference(states, episode.commands[sent])
        expected[:, 6] = episode.commands[sent, 6]
        np.testing.assert_allclose(pair.chunk, expected, atol=1e-5)
        np.testing.assert_allclose(pair.chunk[0, :3], (pair.commands[0] - pair.states[0])[:3], atol=1e-5)
        seen.add(min(pair.stride, 4))
    assert seen == {0, 1, 2, 3, 4}


def test_goals_are_often_where_the_fingers_begin_or_stop_to_move():
    episode = at_rate(4.0, rows=21)
    states = episode.states.copy()
    states[:, 6] = 0.0
    states[8:, 6], states[9:, 6] = 0.4, 0.6  # they move from row 7 to row 9
    goals = [rows_of(pair)[1] for pair in pairs(Clips(Memory([replace(episode, states=states)] * 3), 0.25), 3000, 5)]
    shares = np.bincount(goals, minlength=21) / len(goals)
    assert shares[20] > 0.45
    others = np.delete(shares, [7, 9, 20])
    assert min(shares[7], shares[9]) > 0.08 > 0.04 > others.max()


def test_short_episodes_have_pairs_however_far_goals_may_lie():
    clips = Clips(Memory([at_rate(4.0, rows=[4, 31][i % 2], seed=i) for i in range(8)]), 0.25)
    clips.training_episodes = np.arange(8)
    drawn = pairs(clips, 2000, farthest=20)
    episodes = np.searchsorted(clips.starts, [pair.numbers[0] for pair in drawn], side="right") - 1
    short = clips.lengths[episodes] == 4
    assert 0.06 < short.mean() < 0.13  # their share of moments with a later one: 3 of 33
    assert {pair.stride for pair, is_short in zip(drawn, short, strict=True) if is_short} == {0, 1, 2, 3}


def test_pairs_come_from_episodes_that_solved_their_task():
    episodes = [replace(at_rate(4.0, rows=12, seed=i), success=[True, False, None][i % 3]) for i in range(12)]
    clips = Clips(Memory(episodes), 0.25)
    clips.training_episodes = np.arange(12)
    drawn = {int(np.searchsorted(clips.starts, pair.numbers[0], side="right") - 1) for pair in pairs(clips, 300, 4)}
    assert drawn == {number for number in range(12) if number % 3 != 1}
    failed = Clips(Memory([replace(at_rate(4.0), success=False) for _ in range(3)]), 0.25)
    assert len(pairs(failed, 3, 4)) == 3  # where nothing else is there
