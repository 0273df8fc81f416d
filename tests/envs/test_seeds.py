"""Seeds of training and of evaluation."""

import pytest

from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.seeds import FIRST_TRAINING_SEED, evaluation_seed, training_seed


def test_seeds_of_training_and_evaluation_never_meet():
    assert training_seed(0, 0) == FIRST_TRAINING_SEED
    assert training_seed(2146, 999_999) < 2**32
    assert evaluation_seed(FIRST_TRAINING_SEED - 1, 0) < training_seed(0, 0)
    for bad in (
        lambda: evaluation_seed(FIRST_TRAINING_SEED - 1, 1),
        lambda: evaluation_seed(-1, 0),
        lambda: training_seed(2147, 0),
    ):
        with pytest.raises(UserError, match="seed"):
            bad()
