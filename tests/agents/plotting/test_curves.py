"""Curves of training runs."""

import json

import numpy as np
import pytest

from vjepa_sim.agents.plotting.curves import draw_curves, read_metrics
from vjepa_sim.agents.plotting.panel import PAPER
from vjepa_sim.cli import main
from vjepa_sim.envs.errors import UserError


def written(folder, lines):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def a_run(folder):
    losses = [
        {"step": i, "time": 1000.0 + 2 * i, "train/loss": 1 / (1 + i), "train/learning_rate": 1e-3} for i in range(60)
    ]
    return written(
        folder, [*losses, {"step": 60, "time": 9000.0, "probe/hand_cm": 1.0}, {"step": 99, "probe/hand_cm": 0.5}]
    )


def test_scalars_are_read_by_name_and_pauses_do_not_count(tmp_path):
    curves, seconds = read_metrics(a_run(tmp_path))
    assert curves["train/loss"][:2] == [(0, 1.0), (1, 0.5)]
    assert curves["probe/hand_cm"] == [(60, 1.0), (99, 0.5)]
    assert seconds == pytest.approx(2 * 59)  # not the two hours in which it had been stopped


def test_each_group_has_a_panel_and_falling_losses_fall(tmp_path):
    curves, _ = read_metrics(a_run(tmp_path))
    picture = draw_curves(curves)
    left, right = np.array_split(picture, 2, axis=1)
    for panel in (left, right):
        assert len(np.unique(panel.reshape(-1, 3), axis=0)) > 10
    drawn = np.argwhere(np.all(np.abs(left.astype(int) - (30, 110, 170)) < 40, axis=-1))
    drawn = drawn[drawn[:, 0] > 80]  # below the names
    rows, columns = drawn.T
    assert rows[columns == columns.min()].mean() < rows[columns == columns.max()].mean()
    assert tuple(picture[-1, 0]) == PAPER


def test_the_command_writes_a_picture_and_tells_the_last_values(tmp_path, capsys):
    assert main(["report", str(a_run(tmp_path / "run"))]) == 0
    told = capsys.readouterr().out
    assert "probe/hand_cm: 0.5 at step 99" in told
    assert "It took 0:01:58" in told
    assert (tmp_path / "run" / "curves.png").is_file()


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no metrics\.jsonl"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1')
    with pytest.raises(UserError, match="damaged"):
        read_metrics(tmp_path)
    with pytest.raises(UserError, match="no curve to draw"):
        draw_curves({"train/loss": [(0, 1.0)]})
