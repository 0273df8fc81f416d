"""How a model sees directions through a camera it wasn't trained with, and the turn that makes up for it.

A model that never saw the camera's pose learns directions from the pictures. Seen from elsewhere, a motion of the hand
looks to it like one in another direction. So random horizontal moves are made, the model is asked which moves it sees,
and least squares map the moves it inferred to the true ones: true = W (inferred - offset). W is nearly a rotation
(V-JEPA 2, arXiv 2506.09985, section 11.4); the rotation nearest to it, U Vᵀ of its singular value decomposition, turns
what the model plans into what the arm should do. The offset, which the paper doesn't have, is the move that is seen
where there is none: the arm's measured state and a picture from elsewhere tell a model two different places. Left out,
it spoils W.
"""

from vjepa_sim.agents.calibration.calibration import VIEW_FILE, ViewCalibration, fit_view, load_view
from vjepa_sim.agents.calibration.moves import (
    OVER_TABLE,
    Moves,
    approach,
    check_moves,
    infer_move,
    infer_moves,
    make_moves,
)

__all__ = [
    "OVER_TABLE",
    "VIEW_FILE",
    "Moves",
    "ViewCalibration",
    "approach",
    "check_moves",
    "fit_view",
    "infer_move",
    "infer_moves",
    "load_view",
    "make_moves",
]
