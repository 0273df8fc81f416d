"""Processes that begin with PyTorch and the project imported, which takes longer than most of their work.

They are forked from a server that has imported these, and is otherwise as new.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

IMPORTS = ("torch._dynamo", "torch.utils.tensorboard", "vjepa_sim.cli", "vjepa_sim.baselines.video")  # no renderer
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(list(IMPORTS))


class WarmProcess:
    """A process that calls a function; its exit status is what the function returns."""

    def __init__(
        self, function: Callable[..., int | None], *arguments, folder: Path | None = None, variables: dict | None = None
    ):
        """
        Args:
            function: Function of a module.
            arguments: Its arguments.
            folder: Working directory; this process's if not given.
            variables: Environment variables, besides those of this process.
        """
        self._texts = tempfile.TemporaryDirectory()
        place = (self._texts.name, str(folder or Path.cwd()), {**os.environ, **(variables or {})})
        self._process = CONTEXT.Process(target=_call, args=(*place, function, arguments))
        self._process.start()

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the process has not ended."""
        return self._process.is_alive()

    def wait(self) -> SimpleNamespace:
        """Wait for the end: ``returncode``, ``stdout`` and ``stderr``."""
        self._process.join()
        out, err = (Path(self._texts.name, name).read_text() for name in ("stdout", "stderr"))
        self._texts.cleanup()
        return SimpleNamespace(returncode=self._process.exitcode, stdout=out, stderr=err)


def _call(texts: str, folder: str, variables: dict, function: Callable[..., int | None], arguments: tuple) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{texts}/{name}", os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    multiprocessing.set_start_method(None, force=True)  # the function's own processes start as they do elsewhere
    sys.exit(function(*arguments))
