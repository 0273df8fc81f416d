"""Videos of episodes: which are kept, and what their pictures say."""

import numpy as np

from vjepa_sim.agents.evaluation.statistics import EpisodeScore
from vjepa_sim.agents.evaluation.videos import EpisodeVideos, side_by_side
from vjepa_sim.envs.observation import Goal, Observation

SIZE = 128


def picture(value):
    return np.full((SIZE, SIZE, 3), value, np.uint8)


def test_what_is_seen_stands_beside_the_goal_each_with_its_name():
    now, goals = Observation(picture(40), np.zeros(7, np.float32), 0.0), [Goal(picture(90), 1), Goal(picture(160), 1)]
    first, second = (side_by_side(now, goals, number) for number in (0, 1))
    assert first.shape == (SIZE, 2 * SIZE, 3)
    below = slice(30, None)
    assert (first[below, :SIZE] == 40).all() and (first[below, SIZE:] == 90).all()
    assert (second[below, SIZE:] == 160).all()
    assert (first[:30, :SIZE] == 255).any()  # its name
    assert ((first[:30, SIZE:] != 90) != (second[:30, SIZE:] != 160)).any()  # one says goal 1, the other goal 2
    assert (now.rgb == 40).all()


def test_failures_come_first(tmp_path):
    videos = EpisodeVideos(limit=3)
    for seed, success in enumerate([True, True, False, True, False]):
        score = EpisodeScore(
            seed=seed,
            success=success,
            success_ever=success,
            steps=1,
            final_error_m=0.0,
            plan_seconds=0.0,
            model_evaluations=0.0,
            hand_error_m=0.0,
        )
        videos.add(score, np.zeros((2, 16, 32, 3), np.uint8))
    videos.write(tmp_path, "reach", rate=4)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["0_failure_reach_seed2.mp4", "0_failure_reach_seed4.mp4", "1_success_reach_seed0.mp4"]
