"""Checks of the machine: what the simulator lacks, and the remedy."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from vjepa_sim.envs.cache import cache_folder, save
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.gl import APT_LINES, LIBRARIES, has_library, select_backend

PYTHONS = ((3, 11), (3, 13))  # oldest, newest
INSTALL_GL = f"`{APT_LINES['egl']}`, or `{APT_LINES['osmesa']}` and MUJOCO_GL=osmesa"


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: what was checked.
        ok: whether the check passed.
        found: what was found.
        remedy: what to do if it failed; "" if ``found`` has it.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""


def examine(image_path: Path) -> Iterator[Check]:
    """Run all checks, in an order in which an earlier failure explains later ones.

    Args:
        image_path: file to which a rendered image of the scene is written.
    """
    yield Check(
        "Python",
        PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1],
        platform.python_version(),
        "Install Python 3.11, 3.12 or 3.13.",
    )
    yield from _pins()
    if sys.platform == "linux":
        present = [f"{name} ({library})" for name, library in LIBRARIES.items() if has_library(name)]
        yield Check("OpenGL libraries", bool(present), ", ".join(present) or "none", INSTALL_GL)
    yield _check("OpenGL backend", select_backend, INSTALL_GL)
    yield Check("compiled scenes", True, _kept())
    yield _check("rendered image", lambda: _render(image_path), "Give a writable --image.")


def _pins() -> Iterator[Check]:
    """Compare each installed package with the version that this project requires."""
    try:
        requirements = requires("vjepa-sim") or []
    except PackageNotFoundError:
        yield Check("vjepa-sim", False, "not installed", "Run `pip install -e .` in the checkout, or `make install`.")
        return
    from packaging.requirements import Requirement

    for requirement in map(Requirement, requirements):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Check(requirement.name, False, "not installed", f"pip install '{requirement}' -c constraints.txt")
            continue
        required = str(requirement.specifier)
        plain = re.sub(r"\+.*", "", found)  # a local build such as 2.13.0+cpu
        yield Check(
            requirement.name,
            requirement.specifier.contains(plain),
            f"{found} (required: {required})",
            f"pip install '{requirement}' -c constraints.txt",
        )


def _check(name: str, run: Callable[[], object], remedy: str) -> Check:
    """Run a check that fails by raising any exception; the message of a :class:`.UserError` has its own remedy."""
    try:
        return Check(name, True, str(run()))
    except UserError as error:
        return Check(name, False, str(error))
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", remedy)


def _kept() -> str:
    """Where compiled scenes are kept, or why they aren't: the simulator then starts later, and works."""
    probe = cache_folder() / f"doctor-{os.getpid()}"
    try:
        save(probe, b"")
        probe.unlink()
    except OSError as error:
        return f"not kept in {probe.parent} ({error.strerror}); set XDG_CACHE_HOME for a faster start"
    return f"kept in {probe.parent}"


def _render(path: Path) -> str:
    import imageio.v3 as imageio

    from vjepa_sim.envs.sim_env import SimEnv

    env = SimEnv("grasp", "cup")
    try:
        env.reset(seed=0)
        rgb = env.observation.rgb
    finally:
        env.close()
    if rgb.std() < 10:
        raise RuntimeError("the image is blank")
    imageio.imwrite(path, rgb)
    return f"rendered, see {path}"
