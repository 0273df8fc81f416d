"""How a model sees directions through a camera that stands elsewhere, and what makes up for it."""

import json

import numpy as np
import pytest
import torch

from tests.agents.calibration.turned_model import TurnedModel, rotation
from vjepa_sim.agents.calibration.calibration import VIEW_FILE, ViewCalibration, fit_view, load_view
from vjepa_sim.agents.calibration.config import CalibrationConfig
from vjepa_sim.agents.calibration.moves import Moves, approach, infer_move, infer_moves, make_moves
from vjepa_sim.agents.calibration.plot import draw_moves, draw_sweep
from vjepa_sim.agents.calibration.simulated import SweepRow, observe_moves, sweep_csv, sweep_markdown
from vjepa_sim.checkpoint import fingerprint
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.observation import Observation
from vjepa_sim.envs.robot import simulated_camera
from vjepa_sim.envs.safety import SafetyEnvelope, SafetyLimits
from vjepa_sim.envs.scene.cameras import LEFT, left_at
from vjepa_sim.envs.status import ArmStatus
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow


class PointArm:
    """An arm that is where it is sent; its picture holds the place, as bytes."""

    period = 0.25

    def __init__(self, place=(0.46, 0.0, 0.25)):
        self.target = np.array([*place, np.pi, 0, 0, 0])
        self.sent = []

    def reset(self):
        return self.observe()

    def observe(self):
        rgb = np.frombuffer(self.target[:3].tobytes(), np.uint8).reshape(1, 8, 3)
        return Observation(rgb, self.target.astype(np.float32), 0.0)

    def command(self, action):
        self.sent.append(action)
        self.target = self.target + action
        return action

    def status(self):
        return ArmStatus(state=self.target, target=self.target)

    def watch(self, check):
        pass

    def close(self):
        pass


def calibrate(degrees=20.0, offset=(0.0, 0.0), count=30, **settings):
    moves = infer_moves(TurnedModel(degrees, offset), make_moves(SafetyEnvelope(PointArm()), count=count, **settings))
    return moves, fit_view(moves, "none", 0, {})


def some_moves(count=12, seed=0):
    return np.random.default_rng(seed).uniform(-0.05, 0.05, (count, 2))


# --- moves and their map ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [-150.0, -20.0, 0.0, 20.0])
def test_the_turn_of_a_turned_model_is_found(degrees):
    _, view = calibrate(degrees)
    np.testing.assert_allclose(view.matrix, rotation(degrees), atol=0.02)
    assert view.angle == pytest.approx(degrees, abs=1)
    assert view.condition == pytest.approx(1, abs=0.03)
    assert view.error_before == pytest.approx(100 * 0.05 * 2 * abs(np.sin(np.radians(degrees / 2))), abs=0.6)
    assert view.error_rotated < 0.15
    assert view.error_mapped < 0.15


def test_a_move_that_is_seen_where_there_is_none_is_found_too():
    _, view = calibrate(20.0, offset=(0.01, -0.02))
    np.testing.assert_allclose(view.offset, [0.01, -0.02], atol=1e-3)
    assert view.angle == pytest.approx(20, abs=1)
    assert view.error_rotated < 0.15


def test_a_move_is_inferred_to_a_millimetre():
    before, after = PointArm().observe(), PointArm((0.49, -0.041, 0.25)).observe()
    np.testing.assert_allclose(infer_move(TurnedModel(0), before, after.rgb), [0.03, -0.041], atol=0.0011)


def test_the_hand_stays_level_near_its_start_and_in_the_workspace():
    arm = PointArm((0.30, 0.33, 0.25))  # in a corner
    make_moves(SafetyEnvelope(arm), count=40, size=0.04, seed=1)
    sent = np.array(arm.sent)
    assert not sent[:, 2:].any()
    lengths = np.linalg.norm(sent[:, :2], axis=1)
    assert lengths.min() >= 0.8 * 0.04 - 1e-9
    assert lengths.max() <= 1.2 * 0.04 + 1e-9
    places = np.array([0.30, 0.33]) + np.cumsum(sent[:, :2], 0)
    assert np.linalg.norm(places - [0.30, 0.33], axis=1).max() <= 2 * 0.04 + 1e-9
    limits = SafetyLimits()
    assert np.all(places >= np.array(limits.workspace_low[:2]) - 1e-9)
    assert np.all(places <= np.array(limits.workspace_high[:2]) + 1e-9)


def test_equal_seeds_make_equal_moves():
    first, second, other = (calibrate(count=6, seed=seed)[0].true for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_an_approach_ends_where_it_should_or_says_why_not():
    arm = SafetyEnvelope(PointArm((0.30, -0.30, 0.40)))
    approach(arm, (0.46, 0.0, 0.25))
    np.testing.assert_allclose(arm.target[:3], [0.46, 0, 0.25], atol=0.005)
    assert np.abs(arm.arm.sent).max() <= arm.limits.max_translation + 1e-9
    with pytest.raises(UserError, match="workspace"):
        approach(arm, (0.46, 0.6, 0.25))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 5}, "too few"),
        ({"count": 10, "size": 0.07}, r"limit is 7\.5 cm"),
        ({"count": 10, "size": 0.0}, "above 0"),
    ],
)
def test_moves_that_make_no_sense_are_refused_before_the_arm_moves(settings, message):
    arm = PointArm()
    with pytest.raises(UserError, match=message):
        make_moves(SafetyEnvelope(arm), **settings)
    assert not arm.sent


def test_a_mirror_and_degenerate_moves_are_refused():
    true = some_moves()
    with pytest.raises(UserError, match="is a reflection"):
        fit_view(Moves(true * [1, -1], true), "none", 0, {})
    with pytest.raises(UserError, match="Does the camera see the gripper"):
        fit_view(Moves(true[:, :1] * [1.0, 2.0], true), "none", 0, {})
    with pytest.raises(UserError, match="Does the camera see the gripper"):
        fit_view(Moves(np.zeros_like(true), true), "none", 0, {})
    with pytest.raises(UserError, match="Was the arm blocked"):
        fit_view(Moves(true, true * [1, 0]), "none", 0, {})
    with pytest.raises(UserError, match="too few"):
        fit_view(Moves(true[:5], true[:5]), "none", 0, {})


def test_errors_are_of_moves_that_took_no_part_in_the_fit():
    true = some_moves(12)
    inferred = true.copy()
    inferred[2::3] += 0.03  # only those
    view = fit_view(Moves(inferred, true), "none", 0, {})
    np.testing.assert_allclose(view.matrix, np.eye(2), atol=1e-9)
    assert view.held_out == 4
    assert view.error_before == pytest.approx(3 * 2**0.5)
    assert view.error_mapped == pytest.approx(3 * 2**0.5)


# --- keeping it ---------------------------------------------------------------------------------------------------


def test_a_view_is_read_back_as_it_was_written(tmp_path):
    _, view = calibrate()
    view.save(tmp_path)
    assert ViewCalibration.load(tmp_path) == ViewCalibration.load(tmp_path / VIEW_FILE) == view
    told = json.loads((tmp_path / VIEW_FILE).read_text())
    assert told["angle_degrees"] == pytest.approx(view.angle)
    assert told["provenance"]["versions"]["torch"]


class Idle(TurnedModel):
    """A model with a card that sees nothing move."""

    card = WorldModel.from_pretrained("tiny").card

    def encode(self, rgb):
        return torch.zeros(1, 1, 2)


@pytest.mark.parametrize(("backend", "azimuth"), [("sim", None), ("noisy-sim", 70.0)])
def test_every_simulators_camera_can_be_calibrated_where_it_stands(backend, azimuth):
    config = CalibrationConfig(backend=backend, size=128, moves=6, azimuth=azimuth)
    viewpoint = LEFT.viewpoint if azimuth is None else left_at(azimuth)
    moves, camera = observe_moves(config, Idle(0.0), viewpoint)
    lengths = np.linalg.norm(moves.true, axis=1)
    assert lengths.min() > 0.03 and lengths.max() < 0.07
    nominal = simulated_camera("robotiq", 128)["simulated"]
    assert camera == {"simulated": nominal if azimuth is None else {**nominal, "azimuth": pytest.approx(azimuth)}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "simm"}, "Did you mean 'sim'"),
        ({"arm": "pandda"}, "Did you mean 'panda'"),
        ({"object": "boxx"}, "Did you mean 'box'"),
        ({"gripper": "robotic"}, "Did you mean 'robotiq'"),
        ({"backend": "loopback", "sweep": True}, "Only a simulated camera"),
    ],
)
def test_settings_are_checked_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        CalibrationConfig(**settings)


@pytest.mark.parametrize(
    "damage",
    [
        lambda view: view.pop("matrix"),
        lambda view: view.update(matrix=[[1, 0]]),
        lambda view: view.update(matrix=[[1, 0], [0, float("nan")]]),
        lambda view: view.update(matrix=[[1, 0], [0, -1]]),
        lambda view: view.update(matrix="abcd"),
        lambda view: view.update(offset=[0]),
        lambda view: view.update(moves="many"),
        lambda view: view.update(strange=1),
    ],
)
def test_a_damaged_view_is_named(damage, tmp_path):
    calibrate()[1].save(tmp_path)
    path = tmp_path / VIEW_FILE
    told = json.loads(path.read_text())
    damage(told["view"])
    path.write_text(json.dumps(told))
    with pytest.raises(UserError, match=VIEW_FILE):
        ViewCalibration.load(path)


def test_a_file_that_is_no_view_is_named(tmp_path):
    with pytest.raises(UserError, match="calibrate-view"):
        ViewCalibration.load(tmp_path / "nowhere.json")
    for text in ("", "[]", "{}", '{"view": 3}'):
        (tmp_path / VIEW_FILE).write_text(text)
        with pytest.raises(UserError, match=VIEW_FILE):
            ViewCalibration.load(tmp_path)


def test_a_view_belongs_to_one_checkpoint(tmp_path):
    moves = Moves(some_moves(), some_moves())
    fit_view(moves, "tiny", fingerprint("tiny"), {}).save(tmp_path)
    assert load_view(tmp_path, "tiny").angle == pytest.approx(0)
    fit_view(moves, "other", 1, {}).save(tmp_path)
    with pytest.raises(UserError, match="another model"):
        load_view(tmp_path, "tiny")


def test_pictures_and_tables_show_what_was_found():
    moves, view = calibrate()
    assert draw_moves(moves, view).shape == (400, 800, 3)
    rows = [SweepRow(35, view), SweepRow(45, None, "nothing is seen"), SweepRow(55, view)]
    assert draw_sweep(rows).std() > 5
    assert "nothing is seen" in sweep_markdown(rows)
    lines = sweep_csv(rows).splitlines()
    assert len({line.count(",") for line in lines}) == 1
    assert len(lines) == 4
