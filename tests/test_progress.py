"""What the command line says of long work where nobody looks on."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from vjepa_sim.cli.progress import LINE_EVERY, Bar, progress
from vjepa_sim.envs.errors import UserError


def lines_of(terminal: bool = False, seconds: int = 100) -> list[str]:
    """What a bar writes that is called once a second."""
    file, now = io.StringIO(), [0.0]
    with Progress(
        TextColumn("the end"), console=Console(file=file, force_terminal=terminal), auto_refresh=False
    ) as bars:
        bar = Bar(bars, "training", lambda: now[0])
        for second in range(seconds):
            now[0] = second + 1.0
            bar(second + 1, seconds, {"train/loss": 0.5})
    return [line for line in file.getvalue().splitlines() if "training" in line]


def test_a_log_gets_a_line_now_and_then():
    lines = lines_of()
    assert len(lines) == 100 // LINE_EVERY
    assert lines[0].startswith("training 30/100") and lines[0].endswith("loss 0.5")


def test_a_terminal_gets_the_bar_alone():
    assert lines_of(terminal=True) == []


@pytest.mark.parametrize("done", [0, 3])
def test_a_mistake_that_is_told_at_once_leaves_no_bar(done, capsys):
    with pytest.raises(UserError), progress("reading") as bar:
        bar(done, 10)
        raise UserError("no such folder")
    assert ("reading" in capsys.readouterr().err) == (done > 0)
