"""Containers' own semantics: turns, cuts, orders, depth, and damage, the same for episodes and for folders."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.data.coded import number, numbered, remux, write
from tests.data.samples import smooth_frames
from vjepa_sim.data.video import Video, read_video, write_video
from vjepa_sim.data.videos import VideoFolder
from vjepa_sim.envs.errors import UserError


def clip(path, frames=4, period=0.2, seed=1, **options):
    return VideoFolder(path.parent, period, **options).draw_clip(np.random.default_rng(seed), frames, 1).frames


@pytest.mark.parametrize(("degrees", "side"), [(90, np.s_[:, :8]), (-90, np.s_[:, -8:]), (180, np.s_[-8:])])
def test_videos_are_shown_as_their_headers_ask_for(tmp_path, degrees, side):
    top = np.zeros((6, 48, 96, 3), np.uint8)
    top[:, :12] = 255
    path = remux(write(tmp_path / "plain.mp4", top), tmp_path / "turned" / "a.mp4", rotation=degrees)
    shape = (48, 96) if degrees == 180 else (96, 48)
    for frames in (Video(path)[:], clip(path)):
        assert frames.shape[1:3] == shape
        assert frames[0][side].mean() > 240 and frames[0].mean() < 70
    for small in (Video(path).reduced(24)[0], clip(path, short_side=24)[0]):
        assert small.shape[:2] == (shape[0] // 2, shape[1] // 2)
        assert small.mean() < 70


def test_an_odd_angle_is_an_error(tmp_path):
    path = remux(write(tmp_path / "plain.mp4", numbered(4)), tmp_path / "turned.mp4", rotation=30)
    with pytest.raises(UserError, match="quarter turn"):
        Video(path)


def test_the_part_before_the_start_of_a_trimmed_video_is_not_shown(tmp_path):
    whole = write(tmp_path / "whole.mp4", numbered(30), bf="2", g="10")
    path = remux(whole, tmp_path / "trimmed" / "a.mp4", shift=5 / 15)
    video = Video(path)
    assert [number(frame) for frame in video[[0, 7, -1]]] == [5, 12, 29]
    assert len(video) == 25
    found = [number(frame) for frame in clip(path)]
    assert found[0] >= 5 and np.diff(found).tolist() == [3, 3, 3]


def test_frames_in_avi_files_come_in_the_order_in_which_they_are_shown(tmp_path):
    path = write(tmp_path / "avi" / "a.avi", numbered(30), bf="2", g="10", preset="veryfast")
    video = Video(path)
    assert [number(frame) for frame in video[[0, 7, 13, 29]]] == [0, 7, 13, 29]
    assert np.isin(np.diff([number(frame) for frame in clip(path)]), [2, 3]).all()


def test_frames_that_need_those_before_a_keyframe_are_read(tmp_path):
    """Open groups of pictures, as phones and streams have."""
    settings = {"x264-params": "open-gop=1:keyint=20:bframes=3"}
    frames = numbered(80)
    path = write(tmp_path / "open" / "a.mp4", frames, bf="3", g="20", preset="veryfast", **settings)
    video = Video(path)
    for each in (45, 63, 79):
        assert number(video[each]) == each
    assert np.diff([number(frame) for frame in clip(path)]).tolist() == [3, 3, 3]


def test_deep_greys_are_scaled(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (48, 1))
    path = tmp_path / "deep" / "a.mkv"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=15)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "gray16le"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(ramp, format="gray16le")))
        container.mux(stream.encode())
    for frames in (Video(path)[:], clip(path)):
        assert np.abs(frames[0, 24, :, 0].astype(int) - ramp[0] // 257).max() <= 3


def test_damage_is_an_error_in_folders_as_in_episodes(tmp_path):
    rng = np.random.default_rng(0)
    texture = (np.cumsum(rng.integers(-2, 3, (48, 96, 3)), 1).clip(-60, 60) + 128).astype(np.uint8)
    frames = np.stack([np.roll(texture, 3 * place, 1) for place in range(30)])
    good = write(tmp_path / "good.mp4", frames, g="60", crf="18").read_bytes()
    path = tmp_path / "folder" / "a.mp4"
    path.parent.mkdir()
    start, refused = good.find(b"mdat"), 0
    whole = Video(tmp_path / "good.mp4")[:].astype(int)
    for _ in range(8):
        bad = bytearray(good)
        bad[int(rng.integers(start + 2000, start + (len(good) - start) // 2))] ^= 0x55
        path.write_bytes(bytes(bad))
        try:
            assert np.abs(Video(path)[:].astype(int) - whole).mean() < 8
        except UserError:
            refused += 1
            with pytest.raises(UserError, match=r"1 of 1 video .*names that begin with a dot"):
                clip(path, frames=10)
    assert refused >= 4


def test_rows_without_a_frame_are_errors_of_their_own(tmp_path):
    video = Video(write(tmp_path / "a.mp4", numbered(6)), np.array([0, -1, 2, 5]))
    assert [number(frame) for frame in video[[0, 2, 3]]] == [0, 2, 5]
    with pytest.raises(UserError, match=r"a\.mp4: the video has no frame at the time of row 1"):
        video[:]


def test_a_path_with_a_colon_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("http:") / "Jul07-09:00:23"
    folder.mkdir(parents=True)
    write_video(folder / "a.mp4", smooth_frames(4), rate=4.0)
    assert read_video(folder / "a.mp4").shape == (4, 32, 48, 3)


def test_a_list_of_other_files_is_no_video(tmp_path):
    write_video(tmp_path / "a.mp4", smooth_frames(4), rate=4.0)
    (tmp_path / "b.mp4").write_text("ffconcat version 1.0\nfile a.mp4\nfile a.mp4\n")
    with pytest.raises(UserError, match=r"b\.mp4"):
        read_video(tmp_path / "b.mp4")
