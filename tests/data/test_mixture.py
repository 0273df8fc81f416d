"""Plain videos and pictures beside episodes, real files all of them."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.data.formats.lerobot.sets import DATA
from tests.data.samples import make_episode, smooth_frames
from vjepa_sim.data import mixture as mixture_module
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.data.convert import convert
from vjepa_sim.data.formats import FORMATS, open_reader
from vjepa_sim.data.formats.droid import write_episode
from vjepa_sim.data.mixture import Mixture, load_mixture, parse_source
from vjepa_sim.data.video import read_video, write_video
from vjepa_sim.data.videos import ImageFolder, VideoFolder
from vjepa_sim.envs.errors import UserError

RLDS = Path(__file__).parent / "fixtures" / "rlds_golden"


@pytest.fixture
def videos(tmp_path):
    """Three videos of 40 frames at 16 fps: each frame's grey tells its number."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in "abc":
        frames = np.broadcast_to((np.arange(40, dtype=np.uint8) * 6)[:, None, None, None], (40, 32, 48, 3))
        write_video(folder / f"{name}.mp4", frames, rate=16, quality=5)
    return folder


def numbers(clip):
    return clip.frames.mean((1, 2, 3)) / 6


def test_videos_are_read_by_their_own_clock(videos):
    """At 16 fps, frames 0.25 s apart are 4 frames apart, and strides multiply that."""
    source = VideoFolder(videos, 0.25)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        clip = source.draw_clip(rng, frames=4, stride=1)
        assert not isinstance(clip, RobotClip)
        assert clip.frames.shape == (4, 32, 48, 3)
        np.testing.assert_allclose(np.diff(numbers(clip)), 4, atol=0.6)
        np.testing.assert_allclose(np.diff(numbers(source.draw_clip(rng, 3, 2))), 8, atol=0.6)


def test_a_short_video_keeps_showing_its_last_frame(videos):
    clip = VideoFolder(videos, 0.25).draw_clip(np.random.default_rng(0), frames=16, stride=1)
    np.testing.assert_allclose(numbers(clip)[:10], np.arange(0, 40, 4), atol=0.6)
    np.testing.assert_allclose(numbers(clip)[10:], 39, atol=0.6)


def test_pictures_stand_still(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    clip = ImageFolder(tmp_path, 0.25).draw_clip(np.random.default_rng(0), frames=3, stride=1)
    assert np.array_equal(clip.frames, np.stack([rgb] * 3))


@pytest.mark.slow
def test_weights_are_shares(videos, episodes_folder):
    mixture = load_mixture([f"video:{videos}@3", f"sim:{episodes_folder}"])
    np.testing.assert_allclose(mixture.weights, [0.75, 0.25])
    drawn = mixture.draw([[0, row] for row in range(200)], frames=2, stride=1)
    assert np.mean([not isinstance(clip, RobotClip) for clip in drawn]) == pytest.approx(0.75, abs=0.08)
    assert mixture.episodes == [mixture.sources[1]]
    assert len(mixture.records) == 2


def test_equal_seeds_give_equal_clips(videos, episodes_folder):
    mixture = load_mixture([f"video:{videos}", f"sim:{episodes_folder}"])
    seeds = [[7, row] for row in range(8)]
    first, second = mixture.draw(seeds, 2, 1), mixture.draw(seeds[::-1], 2, 1)[::-1]
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(first, second, strict=True))


def test_bad_files_are_left_out_up_to_a_share(videos, caplog):
    whole = (videos / "a.mp4").read_bytes()
    (videos / "bad.mp4").write_bytes(whole[:200])
    source = VideoFolder(videos, 0.25)
    for seed in range(20):
        source.draw_clip(np.random.default_rng(seed), 2, 1)
    (bad,) = source.left_out.reasons
    assert bad.endswith("bad.mp4")
    assert len(caplog.records) == 1
    (videos / "worse.mp4").write_bytes(b"")
    source = VideoFolder(videos, 0.25)
    with pytest.raises(UserError, match=r"2 of 5 video in .* can't be used"):
        for seed in range(40):
            source.draw_clip(np.random.default_rng(seed), 2, 1)


@pytest.mark.parametrize("kind", ["video", "images"])
def test_empty_folders_are_named(kind, tmp_path):
    with pytest.raises(UserError, match=f"No {kind}"):
        load_mixture([f"{kind}:{tmp_path}"])
    with pytest.raises(UserError, match="is not a folder"):
        load_mixture([f"{kind}:{tmp_path / 'nowhere'}"])


def test_a_folder_of_one_bad_file_is_named(tmp_path):
    (tmp_path / "only.mp4").write_bytes(b"")
    with pytest.raises(UserError, match="1 of 1 video"):
        Mixture([VideoFolder(tmp_path, 0.25)], [1.0]).draw([[0]], 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_clips_are_drawn_from_every_format(format, episodes_folder, tmp_path):
    path = {"rlds": RLDS, "sim": episodes_folder}.get(format, tmp_path / "set.hdf5")
    period = 0.25
    if format == "rlds":
        period = 1 / 15
    elif format != "sim":
        convert(episodes_folder, path, format)
    mixture = load_mixture([f"{format}:{path}"], period=period)
    for clip in mixture.draw([[0, row] for row in range(4)], 3, 1):
        assert clip.frames.shape[0] == 3
        assert np.isfinite(clip.actions).all()


def test_real_recordings_train_though_a_frame_lacks(tmp_path):
    """DROID's videos are a frame short now and then."""
    for index in range(4):
        folder = write_episode(tmp_path, index, make_episode(rows=9, seed=index))
        if index == 2:
            video = folder / "recordings" / "MP4" / "left.mp4"
            video.unlink()
            write_video(video, smooth_frames(8), rate=4)
    clips = load_mixture([f"droid:{tmp_path}"]).episodes[0]
    assert sorted(clips.lengths) == [8, 9, 9, 9]
    assert len(clips.frames_at(np.arange(len(clips)))) == 35
    assert len(clips.sample(np.random.default_rng(0), 100).frames) == 35


def test_data_that_do_not_tell_where_the_arm_was_sent_are_known(mixture, tmp_path):
    for index in range(4):
        write_episode(tmp_path, index, make_episode(rows=9, seed=index, commands=None))
    assert mixture.has_commands()
    assert not load_mixture([f"droid:{tmp_path}"]).has_commands()


def test_memory_is_shared_with_the_other_processes(monkeypatch, tmp_path):
    whole = mixture_module._memory()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(mixture_module, "CONTAINER_LIMIT", limit)
    limit.write_text("1000000\n")
    assert mixture_module._memory() == 1_000_000
    limit.write_text("max\n")
    assert mixture_module._memory() == whole


def in_use(clips, episodes):
    return set().union(*(clips.footage.digests[episode] for episode in episodes))


def test_a_copy_of_a_held_out_episode_is_not_trained_on(tmp_path, caplog):
    root, other = tmp_path / "set", tmp_path / "other"
    for index in range(4):
        write_episode(root, index, make_episode(rows=4, seed=index))
    shutil.copytree(root / "1.0.1", root / "backup of 1.0.1")
    shutil.copytree(root / "1.0.1", other / "1.0.1")
    write_episode(other, 4, make_episode(rows=4, seed=4))
    mixture = load_mixture([f"droid:{root}", f"droid:{other}"])
    held_out = set().union(*(in_use(clips, clips.held_out_episodes) for clips in mixture.episodes))
    for clips in mixture.episodes:
        assert len(clips.training_episodes) and not in_use(clips, clips.training_episodes) & held_out
    assert "copies of held-out ones and left out" in caplog.text


@pytest.mark.slow
def test_a_converted_copy_of_a_held_out_episode_is_not_trained_on(tmp_path):
    for index in range(6):
        write_episode(tmp_path / "set", index, make_episode(rows=4, seed=index))
    convert(tmp_path / "set", tmp_path / "converted", "lerobot")
    first, second = load_mixture([f"droid:{tmp_path / 'set'}", f"lerobot:{tmp_path / 'converted'}"]).episodes
    assert set(first.footage.digests) == set(second.footage.digests)
    held_out = in_use(first, first.held_out_episodes) | in_use(second, second.held_out_episodes)
    for clips in (first, second):
        assert not in_use(clips, clips.training_episodes) & held_out


def test_a_file_that_is_cut_hides_no_copies_in_its_other_episodes(tmp_path):
    for index in range(4):
        write_episode(tmp_path / "set", index, make_episode(rows=4, seed=index))
    convert(tmp_path / "set", tmp_path / "converted", "lerobot")
    whole = open_reader(tmp_path / "converted").digests()
    assert len(set(whole)) == 4 and set(whole) == set(open_reader(tmp_path / "set").digests())
    file = tmp_path / "converted" / DATA
    pq.write_table(pq.read_table(file).slice(5, 9), file)  # the second episode lacks its first row, the last two
    assert open_reader(tmp_path / "converted").digests() == ["", "", whole[2], ""]


def test_copies_are_found_where_a_video_lacks_its_last_frame(tmp_path):
    for index in range(4):
        folder = write_episode(tmp_path / "set", index, make_episode(rows=6, seed=index))
        video = folder / "recordings" / "MP4" / "left.mp4"
        frames = read_video(video)
        video.unlink()
        write_video(video, frames[:5], rate=4.0)
    convert(tmp_path / "set", tmp_path / "converted", "lerobot")
    first, second = load_mixture([f"droid:{tmp_path / 'set'}", f"lerobot:{tmp_path / 'converted'}"]).episodes
    held_out = first.held_out_digests | second.held_out_digests
    for clips in (first, second):
        assert all(not clips.footage.digests[episode] & held_out for episode in clips.training_episodes)
        assert any(clips.footage.digests[episode] & held_out for episode in range(4))


def test_nothing_is_left_where_all_are_copies(tmp_path):
    write_episode(tmp_path, 0, make_episode(rows=4))
    shutil.copytree(tmp_path / "1.0.1", tmp_path / "again")
    with pytest.raises(UserError, match="every training episode is a copy"):
        load_mixture(f"droid:{tmp_path}")


def test_a_folders_name_may_contain_an_at_sign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me@home").mkdir()
    (tmp_path / "run@2").mkdir()
    assert parse_source("sim:me@home") == ("sim", Path("me@home"), 1.0)
    assert parse_source("sim:me@home@0.5") == ("sim", Path("me@home"), 0.5)
    assert parse_source("sim:run@2") == ("sim", Path("run@2"), 1.0)
