"""Cameras that saw nothing."""

from __future__ import annotations

import numpy as np

from vjepa_sim.data.image_faults import find_image_fault
from vjepa_sim.data.lint.finding import ERROR, WARNING, Finding
from vjepa_sim.data.lint.subject import Subject


def images(subject: Subject) -> list[Finding]:
    """Images that are black, white, nearly dark or of one colour, or that don't change while the arm moves."""
    fault = find_image_fault(subject.grey.astype(np.float32), subject.episode.states)
    if fault is None:
        return []
    return [
        subject.finding(
            "images",
            ERROR if fault.spoils else WARNING,
            fault.what,
            remedy="Take another camera (--camera) if one has seen the scene; else leave the episode out "
            "(--quarantine), and check lens, light and stream before recording again.",
            row=fault.first,
        )
    ]
