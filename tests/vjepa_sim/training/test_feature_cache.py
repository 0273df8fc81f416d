"""Features are encoded once, where they fit."""

import numpy as np
import pytest
import torch

from tests.vjepa_sim.training.stages import STAGE_TWO, quiet
from vjepa_sim.data.clip import RobotClip
from vjepa_sim.training.distributed import Compute
from vjepa_sim.training.feature_cache import open_features
from vjepa_sim.training.train import train
from vjepa_sim.world_model import WorldModel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_measurements")]


def clip_of(clips, numbers):
    unknown = np.full((len(numbers), 7), np.nan, np.float32)
    frames = clips.frames_at(np.array(numbers))
    return RobotClip(frames=frames, states=unknown, objects=unknown[:, :3], commands=unknown, numbers=np.array(numbers))


def test_features_are_cached_where_they_fit(mixture, clips, encoder, tmp_path, monkeypatch):
    model = WorldModel.from_pretrained(encoder)
    drawn = [clip_of(clips, [0, 5]), clip_of(clips, [53, 7])]
    expected = model.encode(np.concatenate([clip.frames for clip in drawn])).view(2, 2, 64, -1)
    cached = open_features(
        model, mixture, tmp_path / "a", key={"key": 1}, compute=Compute(), on_encoded=lambda *_: None
    )
    assert cached.cached
    torch.testing.assert_close(cached.of(drawn), expected, atol=2e-3, rtol=2e-3)  # half precision
    monkeypatch.setattr("vjepa_sim.training.feature_cache.SPARE_BYTES", 1e18)
    anew = open_features(model, mixture, tmp_path / "b", key={"key": 1}, compute=Compute(), on_encoded=lambda *_: None)
    assert not anew.cached
    assert torch.equal(anew.of(drawn), expected)
    assert not list((tmp_path / "b" / "features").iterdir())


def test_encoding_goes_on_where_it_was_stopped(mixture, clips, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("vjepa_sim.training.feature_cache.BLOCK", 8)
    monkeypatch.setattr("vjepa_sim.training.feature_cache.TURNS", 1)
    model = WorldModel.from_pretrained(encoder)

    def stop(done, total):
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_features(model, mixture, tmp_path, key={"key": 1}, compute=Compute(), on_encoded=stop)
    done = []
    features = open_features(
        model, mixture, tmp_path, key={"key": 1}, compute=Compute(), on_encoded=lambda n, total: done.append(n)
    )
    assert done == [32, 40, 48, 54]
    whole = clip_of(clips, range(54))
    torch.testing.assert_close(features.of([whole])[0], model.encode(whole.frames), atol=2e-3, rtol=2e-3)
    open_features(
        model, mixture, tmp_path, key={"key": 2}, compute=Compute(), on_encoded=lambda n, total: done.append(n)
    )
    assert done[4] == 8  # of another encoder nothing is taken over


def test_a_finished_run_leaves_no_features(mixture, encoder, tmp_path):
    train(mixture, str(encoder), tmp_path / "run", preset_name="tiny", config=STAGE_TWO, seed=0, report=quiet)
    assert not (tmp_path / "run" / "features").exists()
