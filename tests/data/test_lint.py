"""Each check finds the mistake that it is for in good episodes, and nothing in the good ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vjepa_sim.data.episode import Camera, Episode
from vjepa_sim.data.formats import open_reader
from vjepa_sim.data.formats.format import Entry, Reader
from vjepa_sim.data.lint import findings_rows, findings_text, lint, plan_quarantine, quarantine
from vjepa_sim.data.lint.finding import Finding
from vjepa_sim.envs.errors import UserError


class MemoryReader(Reader):
    """Episodes in memory; a UserError in the place of an episode is raised when it is read."""

    format = "memory"

    def __init__(self, episodes: list[Episode | UserError]):
        super().__init__(Path("memory"), [Entry(name=f"episode-{number}") for number in range(len(episodes))])
        self._episodes = episodes

    def read(self, number, views=None, extras=False):
        if isinstance(self._episodes[number], UserError):
            raise self._episodes[number]
        return self._episodes[number]


def simulated(seeds, steps, cameras):
    from tests.recording import record
    from vjepa_sim.agents.collection.behaviors import BEHAVIORS
    from vjepa_sim.envs.sim_env import SimEnv

    env = SimEnv("grasp", "box", size=128)
    episodes = []
    for seed in seeds:
        env.reset(seed=seed)
        act = BEHAVIORS["explore"].make(env, np.random.default_rng(seed), None).act
        episodes.append(record(env, act, steps, "explore", seed, cameras=cameras))
    env.close()
    return episodes


@pytest.fixture(scope="module")
def good():
    """Six simulated episodes, each seen from the left and from the right."""
    return simulated(range(6), 18, ("left", "right"))


@pytest.fixture(scope="module")
def long():
    """Three longer ones."""
    return simulated(range(4, 7), 59, ("left",))


def check(episodes, view="left"):
    return lint(MemoryReader(episodes), view)


def names(findings):
    return {finding.check for finding in findings}


def with_states(episode, change, **changes):
    states = episode.states.copy()
    change(states)
    return replace(episode, states=states, **{"joints": None, **changes})


def with_frames(episode, rows):
    cameras = tuple(replace(camera, frames=camera.frames[rows]) for camera in episode.cameras)
    return replace(episode, cameras=cameras)


def with_poses(episode, change):
    cameras = tuple(replace(camera, extrinsics=change(camera.extrinsics)) for camera in episode.cameras)
    return replace(episode, cameras=cameras)


def held(episode, first, last):
    """Nothing moves from row ``first`` to ``last``."""
    rows = np.arange(len(episode))
    rows[first : last + 1] = first
    return replace(with_frames(episode, rows), states=episode.states[rows], joints=episode.joints[rows])


@pytest.mark.parametrize("view", ["left", "right"])
def test_good_episodes_have_no_findings(good, view):
    assert check(good, view) == []


def test_short_good_episodes_have_no_findings(episodes_folder):
    assert lint(open_reader(episodes_folder)) == []


# --- files ----------------------------------------------------------------------------------------------------


def test_unreadable_episodes_are_errors_and_the_others_are_still_checked(good):
    findings = check([good[0], UserError("trajectory.h5 is damaged"), held(good[1], 0, 18)])
    assert [(each.check, each.number, each.severity) for each in findings] == [
        ("unreadable", 1, "error"),
        ("idle", 2, "warning"),
    ]
    assert "trajectory.h5 is damaged" in findings[0].what


def test_a_camera_that_is_missing_is_no_error(good):
    """Whatever doesn't need it is still checked."""
    findings = check([good[0], held(good[1], 0, 18)], "wrist")
    assert [(each.check, each.number, each.severity) for each in findings] == [
        ("no camera", 0, "warning"),
        ("no camera", 1, "warning"),
        ("idle", 1, "warning"),
    ]
    assert "'wrist'" in findings[0].what and "ext1 (left), ext2 (right)" in findings[0].what


def test_episodes_without_the_camera_are_checked_apart(good):
    """One camera less in one episode doesn't keep the others from being compared."""
    alone = replace(good[0], cameras=good[0].cameras[:1])
    rows = np.clip(np.arange(19) - 1, 0, 18)
    findings = check([alone, *(with_frames(each, rows) for each in good[1:])], "ext2")
    assert {"no camera", "frame offset"} <= names(findings)
    assert [each.number for each in findings if each.check == "no camera"] == [0]


def test_pictures_are_reduced_as_they_are_decoded():
    from vjepa_sim.data.frames import LazyFrames
    from vjepa_sim.data.motion import small_grey

    class Frames(LazyFrames):
        def _load(self, wanted):
            assert self.shape == (3, 64, 96, 3)
            for number in wanted:
                yield np.full((128, 192, 3), number, np.uint8)

    assert small_grey(Frames("somewhere", 3, 128, 192))[:, 0, 0].tolist() == [0, 1, 2]


def test_progress_ends_at_the_total(good):
    seen = []
    lint(MemoryReader(good[:3]), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 3) and seen[-1] == (3, 3)


# --- motion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last", "place"), [(0, 10, "start"), (6, 16, "between"), (8, 18, "end")])
def test_idle_stretches(good, first, last, place):
    (finding,) = check([held(good[0], first, last)])
    assert (finding.check, finding.row) == ("idle", first)
    assert place in finding.what and f"rows {first} to {last}" in finding.what


def test_a_pause_is_no_idling(good):
    assert check([held(good[0], 5, 11)]) == []


def test_released_clutch(good):
    enabled = np.ones(19, bool)
    enabled[4:8] = False
    (finding,) = check([replace(good[0], extras={"observation/controller_info/movement_enabled": enabled})])
    assert (finding.check, finding.row) == ("clutch", 4) and "4 of 19 rows" in finding.what


def test_repeated_frames(good):
    rows = np.arange(19)
    rows[9] = 8
    (finding,) = check([with_frames(good[1], rows)])
    assert (finding.check, finding.row) == ("repeated frames", 9)


# --- time -----------------------------------------------------------------------------------------------------


def test_gaps_are_counted_in_rows(good):
    keep = np.r_[0:6, 8:19]
    (finding,) = [each for each in check([_rows(good[0], keep)]) if each.check == "gaps"]
    assert finding.row == 6 and "about 2 rows missing" in finding.what


def _rows(episode, keep):
    cameras = tuple(
        replace(camera, frames=camera.frames[keep], extrinsics=camera.extrinsics[keep]) for camera in episode.cameras
    )
    return Episode(cameras, episode.states[keep], episode.stamps[keep], joints=episode.joints[keep])


def test_jitter_and_drift(good):
    stamps = good[0].stamps
    jittered = replace(good[0], stamps=stamps + 0.03 * (-1.0) ** np.arange(len(stamps)))
    assert "jitter" in names(check([jittered]))
    wandering = replace(good[0], stamps=stamps + 0.005 * np.arange(len(stamps)) ** 2)
    assert "drift" in names(check([wandering]))


def test_another_rate_than_the_others(good):
    slow = replace(good[2], stamps=good[2].stamps * 1.2)
    (finding,) = check([*good[:2], slow, *good[3:]])
    assert (finding.check, finding.number) == ("period", 2) and "0.3000 s" in finding.what


@pytest.mark.parametrize("lag", [-2, -1, 1, 2])
def test_frames_in_the_wrong_rows(good, lag):
    rows = np.clip(np.arange(19) - lag, 0, 18)
    findings = [each for each in check([with_frames(each, rows) for each in good]) if each.check == "frame offset"]
    assert findings[0].severity == "error" and findings[0].number is None
    assert f"{abs(lag)} row" in findings[0].what and ("late" if lag > 0 else "early") in findings[0].what


def test_one_episode_with_frames_in_the_wrong_rows(good):
    rows = np.clip(np.arange(19) - 2, 0, 18)
    findings = [each for each in check([with_frames(good[0], rows), *good[1:]]) if each.check == "frame offset"]
    assert [each.number for each in findings] == [0]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_frames_lost_inside_a_video(long, lost):
    rows = np.arange(60)
    rows[30:] = np.minimum(rows[30:] + lost, 59)
    (finding,) = [each for each in check([with_frames(long[0], rows)]) if each.check in ("lost frames", "frame offset")]
    assert (finding.check, finding.severity, finding.row) == ("lost frames", "warning", 29)
    assert f"about {lost} frame{'s were' if lost > 1 else ' was'} lost in between" in finding.what
    assert f"{lost} row{'s' if lost > 1 else ''} early against the states from there on" in finding.what


def test_long_good_episodes_have_no_findings(long):
    assert check(long) == []


ROBOT, CAMERA = "observation/timestamp/robot_state/read_start", "observation/timestamp/cameras/22008760_"


def clocked(episode, apart, event="frame_received", robot=True):
    """With DROID's clocks: the robot's among the extras, or as the episode's own; the camera's ``apart`` ms from it."""
    rows = np.arange(len(episode))
    milliseconds = 1_700_000_000_000 + 67 * rows
    own = {"extras": {ROBOT: milliseconds}, "stamps": rows * 0.067} if robot else {"stamps": milliseconds / 1000}
    extras = {**own.pop("extras", {}), CAMERA + event: (milliseconds + np.asarray(apart)).round().astype(np.int64)}
    return replace(episode, extras=extras, **own)


@pytest.mark.parametrize("robot", [True, False])
@pytest.mark.parametrize("event", ["frame_received", "estimated_capture"])
def test_camera_clocks(good, event, robot):
    def found(apart):
        findings = check([clocked(good[0], apart, event, robot)])
        return [each for each in findings if each.check.startswith("camera clock")]

    rng = np.random.default_rng(0)
    assert found(20 + rng.uniform(0, 17, 19)) == [], "a camera at 60 Hz that nobody triggers"
    assert found(-100 * np.eye(19)[18]) == [], "a single late row"
    (drift,) = found(np.arange(19) * 2.5)
    assert (drift.check, drift.severity, drift.row) == ("camera clock drift", "warning", 14)
    assert "camera 22008760 gain 4" in drift.what and "45 ms" in drift.what
    (offset,) = found(np.full(19, -200))
    assert (offset.check, offset.severity, offset.row) == ("camera clock offset", "warning", 0)
    assert "200 ms before the robot" in offset.what


def test_clocks_that_can_not_be_compared_are_left_alone(good):
    """Rows without the robot's clock count from some moment of their own; words and gaps are no stamps."""
    episode = clocked(good[0], np.arange(19) * 10.0)
    camera = CAMERA + "frame_received"
    extras = [
        {camera: episode.extras[camera]},
        {ROBOT: episode.extras[ROBOT], camera: np.array(["late"] * 19)},
        {ROBOT: episode.extras[ROBOT], camera: np.where(np.arange(19) == 3, np.nan, episode.extras[camera])},
    ]
    for each in extras:
        assert not any(name.startswith("camera clock") for name in names(check([replace(episode, extras=each)])))


# --- states ---------------------------------------------------------------------------------------------------


def _scale(columns, factor):
    def change(states):
        states[:, columns] *= factor

    return change


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (_scale(slice(3, 6), 180 / np.pi), "degrees"),
        (_scale(slice(0, 3), 100), "centimetres"),
        (_scale(slice(0, 3), 1000), "millimetres"),
        (_scale(6, 100), "0 to 100"),
        (_scale(6, 255), "0 to 255"),
    ],
)
def test_units(good, change, hint):
    episode = next(each for each in good if each.states[:, 6].max() > 0.5)
    errors = [each for each in check([with_states(episode, change)]) if each.severity == "error"]
    assert len(errors) == 1 and errors[0].check == "units" and hint in errors[0].remedy


def test_gripper_width(good):
    def change(states):
        states[:, 6] = 0.085 * (1 - states[:, 6])

    findings = check([with_states(each, change) for each in good])
    assert "width" in next(each.what for each in findings if each.check == "gripper")


def test_inverted_gripper(good):
    def change(states):
        states[:, 6] = 1 - states[:, 6]

    findings = check([with_states(each, change) for each in good])
    assert [(each.check, each.severity) for each in findings] == [("gripper", "warning")]


def test_fingertip_instead_of_flange(good):
    def change(states):
        states[:, :3] += 0.15 * Rotation.from_euler("xyz", states[:, 3:6]).as_matrix()[:, :, 2]

    findings = check([with_states(each, change) for each in good])
    assert "flange" in names(findings)
    findings = check([with_states(each, change, joints=each.joints) for each in good])
    found = [each for each in findings if each.check == "kinematics"]
    assert len(found) == len(good) and "z +0.150" in found[0].what and "tool" in found[0].remedy


def test_another_euler_convention(good):
    def change(states):
        states[:, 3:6] = Rotation.from_euler("xyz", states[:, 3:6]).as_euler("ZYX")

    findings = check([with_states(each, change, joints=each.joints) for each in good])
    assert sum(each.check == "kinematics" for each in findings) == len(good)


def test_jumps_of_rotation_and_position(good):
    def turn(states):
        states[9:, 5] += 1.5

    def teleport(states):
        states[9:, 0] += 1.0

    for change in (turn, teleport):
        found = [each for each in check([with_states(good[0], change)]) if each.check == "jumps"]
        assert [each.row for each in found] == [9]


def test_angles_that_wrap_are_no_jumps(good):
    def change(states):
        states[::2, 3] -= 2 * np.pi * np.sign(states[::2, 3])

    assert check([with_states(good[0], change)]) == []


# --- cameras --------------------------------------------------------------------------------------------------


def _inverted(poses):
    turn = Rotation.from_euler("xyz", poses[:, 3:]).inv()
    return np.column_stack([-turn.apply(poses[:, :3]), turn.as_euler("xyz")])


def _turned(poses):
    turn = Rotation.from_euler("xyz", poses[:, 3:]) * Rotation.from_euler("y", 20, degrees=True)
    return np.column_stack([poses[:, :3], turn.as_euler("xyz")])


def _moved(poses):
    aside = Rotation.from_euler("xyz", poses[:, 3:]).apply([0.2, 0, 0])
    return np.column_stack([poses[:, :3] + aside, poses[:, 3:]])


@pytest.mark.parametrize(("change", "hint"), [(_inverted, "inverted"), (_turned, "turned"), (_moved, "fit")])
def test_wrong_camera_poses(good, change, hint):
    findings = check([with_poses(each, change) for each in good])
    assert names(findings) == {"camera pose"}
    assert len({each.number for each in findings} - {None}) >= 5
    assert any(hint in each.what for each in findings)


def test_swapped_cameras(good):
    def swapped(episode):
        one, other = episode.cameras
        return replace(
            episode,
            cameras=(replace(one, extrinsics=other.extrinsics), replace(other, extrinsics=one.extrinsics)),
        )

    findings = check([swapped(each) for each in good], view="ext1")
    assert names(findings) == {"camera pose"}
    assert findings[0].number is None and "of camera right" in findings[0].what


def test_without_intrinsics_only_a_hand_out_of_sight_is_found(good):
    def blind(episode):
        return replace(episode, cameras=tuple(replace(each, intrinsics=None) for each in episode.cameras))

    assert check([blind(each) for each in good]) == []
    findings = check([blind(with_poses(each, _inverted)) for each in good])
    assert len(findings) == len(good) and "assuming" in findings[0].what


def test_the_hand_camera_is_left_out(good):
    camera = replace(good[0].cameras[0], role="wrist", extrinsics=_inverted(good[0].cameras[0].extrinsics))
    assert isinstance(camera, Camera)
    assert "camera pose" not in names(check([replace(good[0], cameras=(camera,))], view="wrist"))


# --- report and quarantine ------------------------------------------------------------------------------------


def test_the_report_names_counts_episodes_rows_and_remedies():
    findings = [
        Finding(
            check="gaps", episode=f"episode-{n}", number=n, row=7, severity="error", what="3 gaps", remedy="Cut there."
        )
        for n in range(8)
    ]
    text = findings_text(
        [
            Finding(
                check="idle", episode="episode-1", number=1, row=0, severity="warning", what="no motion", remedy="Trim."
            ),
            *findings,
        ]
    )
    assert text.index("error: gaps (8 findings in 8 episodes)") < text.index("warning: idle")
    assert "episode-4, row 7: 3 gaps." in text and "episode-5" not in text and "and 3 more" in text
    assert text.count("Cut there.") == 1
    assert json.loads(json.dumps(findings_rows(findings)))[0]["row"] == 7
    assert findings_text([]) == "Nothing was found."


@pytest.fixture
def broken(episodes_folder, tmp_path):
    """A data set of which one episode has no readable trajectory."""
    import shutil

    root = tmp_path / "set"
    shutil.copytree(episodes_folder, root)
    victim = sorted(root.rglob("trajectory.h5"))[0]
    victim.write_bytes(b"not HDF5")
    return root, victim.parent


def test_quarantine_moves_the_broken_episode_and_notes_why(broken, tmp_path):
    root, folder = broken
    reader = open_reader(root)
    findings = lint(reader)
    assert plan_quarantine(reader, findings) == [folder]
    assert folder.exists(), "a plan moves nothing"
    note = quarantine([folder], root, tmp_path / "out", findings)
    target = tmp_path / "out" / folder.relative_to(root)
    assert not folder.exists() and (target / "trajectory.h5").read_bytes() == b"not HDF5"
    (moved,) = json.loads(note.read_text())["moved"]
    assert moved["episode"] == folder.relative_to(root).as_posix() and moved["why"] and moved["to"] == str(target)
    assert lint(open_reader(root)) == []


def test_quarantine_leaves_episodes_that_only_lack_the_camera(broken):
    root, folder = broken
    reader = open_reader(root)
    findings = lint(reader, "wrist")
    assert {"unreadable", "no camera"} == names(findings)
    assert plan_quarantine(reader, findings) == [folder]


def test_a_second_quarantine_adds_to_the_note(broken, tmp_path):
    root, _ = broken
    for folder in sorted(path.parent for path in root.rglob("trajectory.h5"))[:2]:
        note = quarantine([folder], root, tmp_path / "out", [])
    assert len(json.loads(note.read_text())["moved"]) == 2


@pytest.mark.parametrize("case", ["inside", "exists", "outside", "gone"])
def test_quarantine_moves_nothing_when_something_is_wrong(broken, tmp_path, case):
    root, folder = broken
    folders, to = [folder], tmp_path / "out"
    if case == "inside":
        to = root / "out"
    elif case == "exists":
        (to / folder.relative_to(root)).mkdir(parents=True)
    elif case == "outside":
        folders = [folder, root / ".."]
    else:
        folders = [folder, root / "nothing"]
    with pytest.raises(UserError):
        quarantine(folders, root, to, [])
    assert folder.exists() and not (to / "quarantine.json").exists()


def test_episodes_that_share_files_are_not_moved(good):
    reader = MemoryReader([good[0], UserError("damaged")])
    with pytest.raises(UserError, match="Convert"):
        plan_quarantine(reader, lint(reader))
