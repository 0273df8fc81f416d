"""The command line ``vjepa-sim VERB``; the only package that may import all others."""

from __future__ import annotations

import errno
import io
import os
import sys
from itertools import pairwise
from typing import Any

try:
    import tyro

    from vjepa_sim.cli.baseline import Baseline
    from vjepa_sim.cli.bench import Bench
    from vjepa_sim.cli.calibrate_view import CalibrateView
    from vjepa_sim.cli.capture_goal import CaptureGoal
    from vjepa_sim.cli.collect import Collect
    from vjepa_sim.cli.compare import Compare
    from vjepa_sim.cli.convert import Convert, check_kind
    from vjepa_sim.cli.deploy import Deploy
    from vjepa_sim.cli.doctor import Doctor
    from vjepa_sim.cli.evaluation import Eval
    from vjepa_sim.cli.inspect import Inspect
    from vjepa_sim.cli.lint import Lint
    from vjepa_sim.cli.report import Report
    from vjepa_sim.cli.score import Score
    from vjepa_sim.cli.training import Pretrain, Train
    from vjepa_sim.data.interrupt import endings_interrupt
    from vjepa_sim.envs.errors import UserError, printable, unknown_name
    from vjepa_sim.envs.plugins import add_plugins
except KeyboardInterrupt:  # while the modules are loaded; nothing has begun
    print("vjepa-sim: stopped.", file=sys.stderr)
    sys.exit(130)

VERBS: dict[str, type] = {
    "doctor": Doctor,
    "collect": Collect,
    "convert": Convert,
    "inspect": Inspect,
    "lint": Lint,
    "pretrain": Pretrain,
    "train": Train,
    "baseline": Baseline,
    "report": Report,
    "eval": Eval,
    "capture-goal": CaptureGoal,
    "calibrate-view": CalibrateView,
    "deploy": Deploy,
    "compare": Compare,
    "score": Score,
    "bench": Bench,
}
RESUMABLE = ("collect", "pretrain", "train", "baseline", "eval")


def parse(arguments: list[str]) -> Any:
    """Parse a command line. An unknown option ends the program with status 2.

    Args:
        arguments: arguments after the program's name.

    Returns:
        The verb with its options, an instance of a class of :data:`VERBS`.

    Raises:
        UserError: there is no such verb, or a plugin can't be loaded.
    """
    add_plugins(_plugins(arguments))  # first, as the names that they register are valid values of options
    if arguments and not arguments[0].startswith("-") and arguments[0] not in VERBS:
        raise unknown_name("verb", arguments[0], VERBS)
    if arguments[:1] == ["convert"] and len(arguments) > 1 and not arguments[1].startswith("-"):
        check_kind(arguments[1])
    return tyro.extras.subcommand_cli_from_dict(
        VERBS,
        args=arguments,
        prog="vjepa-sim",
        description="Simulate, collect, train and plan with V-JEPA 2 world models.",
    )


def _plugins(arguments: list[str]) -> list[str]:
    """Values of --plugin."""
    found = [value for option, value in pairwise(arguments) if option == "--plugin"]
    return found + [each.partition("=")[2] for each in arguments if each.startswith("--plugin=")]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: arguments after the program's name; None for those of the process.

    Returns:
        Exit status: 0 for success, 1 if a check failed, 2 for a user's error, 130 if stopped by Ctrl-C,
        SIGTERM or SIGHUP.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a folder's name needn't be UTF-8
            stream.reconfigure(errors="backslashreplace")
    try:
        with endings_interrupt():
            return parse(arguments).run()
    except UserError as error:
        print(f"vjepa-sim: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that can't be written, a file in the way
        full = f"The disk is full ({error}). Free some space." if error.errno == errno.ENOSPC else error
        print(f"vjepa-sim: {printable(str(full))}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if os.strerror(errno.ENOSPC) not in str(error):  # the form in which HDF5 reports a full disk
            raise
        print("vjepa-sim: The disk is full. Free some space.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = arguments[:1] and arguments[0] in RESUMABLE
        hint = " Finished work is kept; the same command continues it." if resumes else ""
        print(f"vjepa-sim: stopped.{hint}", file=sys.stderr)
        return 130
