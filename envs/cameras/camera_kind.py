"""Kinds of real cameras with a name of their own, and their registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vjepa_sim.envs.cameras.grabber import FrameSource
from vjepa_sim.envs.part_checks import are_texts, check_fields
from vjepa_sim.envs.registry import Registry


@dataclass(frozen=True)
class CameraKind:
    """A kind of real camera, given as ``NAME`` or ``NAME:ADDRESS``.

    Attributes:
        name: name on the command line.
        open: opens the camera at an address, "" if none is given; raises :class:`.UserError` if there is none.
        forms: examples of how it is given, for the message about an unknown camera.
    """

    name: str
    open: Callable[[str], FrameSource]
    forms: tuple[str, ...]


def _check_kind(kind: CameraKind) -> None:
    check_fields(
        "camera",
        kind,
        (
            ("open", callable(kind.open), "a function that opens a camera"),
            ("forms", are_texts(kind.forms), "a tuple of texts"),
        ),
    )


CAMERA_KINDS: Registry[CameraKind] = Registry("camera", CameraKind, _check_kind)
