"""Progress bars with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

LINE_EVERY = 30.0  # seconds between two lines of a log


class Bar:
    """A progress bar, called with (done, total), and with scalars or a note to show beside it.

    Where the output is no terminal, as in the log of ``nohup`` or of a cluster, it writes a line every 30 s.

    Attributes:
        before: bar of what comes first, called with (done, total); shows nothing where there is none.
    """

    def __init__(self, bars, title: str, clock: Callable[[], float] = time.monotonic):
        """
        Args:
            bars: a :class:`rich.progress.Progress`.
            title: title of the bar.
            clock: returns the time in seconds.
        """
        self._bars, self._clock, self._written = bars, clock, clock()
        self._task = bars.add_task(title, total=None, note="")
        self.before: Callable[[int, int], None] = lambda done, total: None

    def __call__(self, done: int, total: int, scalars: dict[str, float] | None = None, note: str = "") -> None:
        """Update the bar.

        Args:
            done, total: progress.
            scalars: values by name; the first two are shown instead of the note.
            note: text beside the bar.
        """
        if scalars:
            note = "  ".join(f"{name.split('/')[-1]} {value:.3g}" for name, value in list(scalars.items())[:2])
        self._bars.update(self._task, completed=done, total=total, **({"note": note} if note else {}))
        if not self._bars.console.is_terminal and self._clock() - self._written >= LINE_EVERY:
            self._written = self._clock()
            self._write_line()

    def _write_line(self) -> None:
        from rich.text import Text

        task = next(task for task in self._bars.tasks if task.id == self._task)
        left = "" if task.time_remaining is None else f", {timedelta(seconds=round(task.time_remaining))} left"
        line = f"{task.description} {task.completed}/{task.total}{left}  {task.fields['note']}"
        self._bars.console.print(Text(line.rstrip()), soft_wrap=True)


@contextmanager
def progress(title: str, before: str | None = None) -> Iterator[Bar]:
    """Show a progress bar on stderr.

    Args:
        title: title of the bar.
        before: title of a second bar above it, :attr:`Bar.before`, for work that comes first.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    columns = [
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        # On a narrow terminal this column is shortened, not the time left.
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    ]
    with Progress(*columns, console=Console(stderr=True), expand=True) as bars:
        first = Bar(bars, before) if before else None
        bar = Bar(bars, title)
        if first is not None:
            bar.before = first
        try:
            yield bar
        except BaseException:
            if not any(task.completed for task in bars.tasks):  # nothing was begun: show the message alone
                for task in bars.tasks:
                    bars.update(task.id, visible=False)
            raise
