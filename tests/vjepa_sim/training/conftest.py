"""An encoder that stage one has trained."""

import pytest

from tests.vjepa_sim.training.stages import STAGE_ONE, quiet
from vjepa_sim.training.pretrain import pretrain


@pytest.fixture(scope="module")
def encoder(mixture, short_measurements, tmp_path_factory):
    out = tmp_path_factory.mktemp("stage_one") / "run"
    pretrain(mixture, out, "tiny", STAGE_ONE, seed=0, report=quiet)
    return out
