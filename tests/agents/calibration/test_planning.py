"""Planning with a calibrated view, and the command that calibrates it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.agents.calibration.turned_model import rotation
from vjepa_sim.agents.calibration.calibration import ViewCalibration
from vjepa_sim.agents.planning.mpc import MPCAgent, MPCConfig
from vjepa_sim.cli import main
from vjepa_sim.envs.observation import Goal, Observation
from vjepa_sim.envs.safety import SafetyLimits
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return WorldModel.from_pretrained("tiny")


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (128, 128, 3), np.uint8)


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, -160.0])
def test_a_plan_is_turned_and_keeps_to_the_limits(model, angle):
    agent = MPCAgent(model, MPCConfig(energy={"features": 1.0}, view_angle=angle))
    agent.begin([Goal(picture(1), 1)])
    sent = agent.act(Observation(picture(0), np.array([0.45, 0, 0.3, np.pi, 0, 0, 0], np.float32), 0.0))
    planned = agent.plan.actions[0].numpy()
    limit = SafetyLimits().max_translation
    wanted = rotation(angle) @ planned[:2]
    np.testing.assert_allclose(sent[:2], wanted / max(1, np.abs(wanted).max() / limit), atol=1e-6)
    np.testing.assert_allclose(sent[2:6], planned[2:6])
    assert np.abs(sent[:2]).max() <= limit + 1e-7


def test_from_a_calibration_to_a_scored_plan(tmp_path, capsys):
    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return SimpleNamespace(status=status, **capsys.readouterr()._asdict())

    view, table = tmp_path / "view", tmp_path / "eval"
    calibration = ("calibrate-view", "--azimuth", 70, "--moves", 6, "--size", 128, "--threads", 1, "--out", view)
    first = run(*calibration)
    assert first.status == 0, first.err
    assert "| rotation |" in first.out
    assert {"view.json", "moves.csv", "moves.png", "calibration_config.json"} <= {each.name for each in view.iterdir()}
    assert len((view / "moves.csv").read_text().splitlines()) == 7
    assert ViewCalibration.load(view).camera["simulated"]["azimuth"] == pytest.approx(70)
    again = run(*calibration)
    assert again.status == 2
    assert "finished calibration" in again.err

    cells = ("--task", "reach", "--object", "box", "--episodes", 1, "--videos", 0, "--size", 128, "--threads", 1)
    scored = run("eval", *cells, "--azimuth", 70, "--view", view, "--out", table)
    assert scored.status == 0, scored.err
    config = json.loads((table / "eval_config.json").read_text())["config"]
    assert config["azimuth"] == 70
    assert config["view_angle"] == pytest.approx(ViewCalibration.load(view).angle)


def test_it_works_on_the_loopback_robot(tmp_path, capsys):
    pytest.importorskip("franky")
    pytest.importorskip("franka_sim")
    from tests.envs.loopback import free_address

    robot = ("--backend", "loopback", "--host", free_address(), "--yes", "--size", "128")
    assert main(["calibrate-view", *robot, "--moves", "6", "--threads", "1", "--out", str(tmp_path / "view")]) == 0
    view = ViewCalibration.load(tmp_path / "view")
    assert abs(view.angle) < 45  # it looks from where the model was trained
    shown = capsys.readouterr().out
    assert shown.index("ok    camera:") < shown.index("ok    control:") < shown.index("| rotation |")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "simm"], "Did you mean 'sim'"),
        (["--backend", "loopback", "--azimuth", "35"], "leave out --azimuth"),
        (["--sweep", "--azimuth", "35"], "its own azimuths"),
        (["--azimuth", "400"], "from -180 to 180"),
        (["--moves", "2"], "too few"),
        (["--host", "172.16.0.2"], "--host: no effect in the simulator"),
        (["--backend", "noisy-sim", "--host", "172.16.0.2"], "--host: no effect in the simulator"),
        (["--backend", "loopback", "--arm", "pandda"], "Did you mean 'panda'"),
        (["--backend", "franka", "--object", "cup"], "--object: no effect on a real robot"),
        (["--limits.max-force", "9"], "--limits: no effect in the simulator"),
        (["--backend", "franka"], "--host HOST"),
        (["--backend", "franka", "--yes"], "--yes: no effect on a real robot"),
    ],
)
def test_mistakes_are_answered_with_status_2(arguments, message, tmp_path, capsys):
    assert main(["calibrate-view", "--out", str(tmp_path / "view"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_view_is_for_agents_with_a_model(tmp_path, capsys):
    assert main(["eval", "--agent", "random", "--view", "x", "--out", str(tmp_path / "a")]) == 2
    assert "does not use it" in capsys.readouterr().err
