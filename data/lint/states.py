"""Units, scales and reference frames of the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_sim.data.lint.finding import ERROR, WARNING, Finding
from vjepa_sim.data.lint.subject import Subject
from vjepa_sim.envs.arms import ARMS, PANDA
from vjepa_sim.envs.pose import GRIPPER, POSITION, ROTATION

REACH = 2.0  # m: the arm reaches 0.855 m; the rest allows for the base's place in its frame
MILLIMETRES = 200.0  # largest position in centimetres; larger ones are millimetres
JUMP = 1.0  # rad between two rows: six times the wrist's top speed at DROID's 15 Hz, and still above an arm's at 4 Hz
TOP_SPEED = 2.0  # m/s; the Panda's flange reaches 1.7
SLACK = 0.05  # accepted closedness below 0 and above 1
WIDEST = 0.09  # m: widest opening of such grippers (Robotiq 2F-85 0.085, Franka Hand 0.08)
MOVED_WIDTH = 0.02  # m: less is noise
CLOSED, ACTS, INVERTED_SHARE = 0.5, 0.3, 0.8
TABLE = 0.05  # m: height of the flange with its fingers in the table, unless the arm is on a pedestal
LOW_SHARE = 0.1  # share of the episodes
FEWEST = 3  # episodes needed to judge conventions
# Accepted difference between the measured pose and the joints': calibration errs by some millimetres.
KINEMATIC_METRES, KINEMATIC_RADIANS = 0.02, 0.1


def units(subject: Subject) -> list[Finding]:
    """Degrees, centimetres, millimetres, and closedness outside 0 to 1."""
    states, findings = subject.episode.states, []
    angle = np.abs(states[:, ROTATION]).max()
    if angle > 2 * np.pi:
        row = int(np.abs(states[:, ROTATION]).max(1).argmax())
        what = f"rotations reach {angle:.1f}; Euler angles in radians stay below 3.15"
        findings.append(
            subject.finding("units", ERROR, what, remedy="They are probably degrees: convert them to radians.", row=row)
        )
    far = np.abs(states[:, POSITION]).max()
    if far > REACH:
        row = int(np.abs(states[:, POSITION]).max(1).argmax())
        unit = "millimetres" if np.median(np.abs(states[:, POSITION]).max(1)) > MILLIMETRES else "centimetres"
        what = f"positions reach {far:.1f}; an arm reaches 0.86 m"
        remedy = f"They are probably {unit}: convert them to metres, in the base frame of the robot."
        findings.append(subject.finding("units", ERROR, what, remedy=remedy, row=row))
    low, high = states[:, GRIPPER].min(), states[:, GRIPPER].max()
    if low < -SLACK or high > 1 + SLACK:
        row = int(np.abs(states[:, GRIPPER] - 0.5).argmax())
        scale = "0 to 100" if 1 + SLACK < high <= 101 else "0 to 255" if 101 < high <= 256 else "another scale"
        what = f"closedness ranges from {low:.2f} to {high:.2f}; 0 is open and 1 is closed"
        remedy = f"It is probably {scale}: convert it to 0 to 1, with 1 for closed."
        findings.append(subject.finding("units", ERROR, what, remedy=remedy, row=row))
    return findings


def jumps(subject: Subject) -> list[Finding]:
    """Rotations and positions that no arm can follow from one row to the next."""
    findings = []
    turned = np.linalg.norm(Rotation.from_euler("xyz", subject.steps[:, ROTATION]).as_rotvec().reshape(-1, 3), axis=1)
    far = np.flatnonzero(turned > JUMP)
    if (
        len(far) and np.abs(subject.episode.states[:, ROTATION]).max() <= 2 * np.pi
    ):  # degrees have a finding of their own
        findings.append(
            subject.finding(
                "jumps",
                ERROR,
                f"{len(far)} steps turn by more than {JUMP:g} rad, the first {turned[far[0]]:.2f} rad into row "
                f"{far[0] + 1}",
                remedy='Angles must be extrinsic "xyz" Euler angles of the flange; another order or a mixed-up sign '
                "jumps like this. Or two recordings were joined: cut there.",
                row=far[0] + 1,
            )
        )
    speed = subject.moved / np.diff(subject.episode.stamps)
    fast = np.flatnonzero(speed > TOP_SPEED)
    if len(fast) and np.abs(subject.episode.states[:, POSITION]).max() <= REACH:
        findings.append(
            subject.finding(
                "jumps",
                ERROR,
                f"{len(fast)} steps are faster than {TOP_SPEED:g} m/s, the first goes {subject.moved[fast[0]]:.3f} m "
                f"into row {fast[0] + 1}",
                remedy="Two recordings were joined, or rows or stamps are wrong: cut the episode there.",
                row=fast[0] + 1,
            )
        )
    return findings


def kinematics(subject: Subject) -> list[Finding]:
    """Poses that aren't the flange's, by the recorded joints and the arm's forward kinematics.

    Without a recorded arm, seven joints are taken for a Panda's or FR3's, as DROID's are.
    """
    episode = subject.episode
    arm = ARMS.get(str(episode.details.get("arm", PANDA.name)))
    flange_poses = None if arm is None else arm.flange_poses
    if episode.joints is None or arm is None or flange_poses is None or episode.joints.shape[1] != len(arm.joints):
        return []
    if not np.ptp(episode.joints, axis=0).any() or units(subject):
        return []
    rows = np.unique(np.linspace(0, len(episode) - 1, 20).astype(int))
    expected = flange_poses(episode.joints[rows])
    turn = Rotation.from_euler("xyz", expected[:, 3:])
    # In the flange's own frame a tool's offset is the same in every row.
    offset = np.median(turn.inv().apply(episode.states[rows, POSITION] - expected[:, :3]), axis=0)
    between = turn.inv() * Rotation.from_euler("xyz", episode.states[rows, ROTATION])
    angles = np.linalg.norm(between.as_rotvec(), axis=1)
    metres, radians = float(np.linalg.norm(offset)), float(np.median(angles))
    if metres < KINEMATIC_METRES and radians < KINEMATIC_RADIANS:
        return []
    steady = np.ptp(angles) < KINEMATIC_RADIANS
    what = (
        f"the pose isn't the flange's by the joint angles: {metres:.3f} m away (x {offset[0]:+.3f}, y "
        f"{offset[1]:+.3f}, z {offset[2]:+.3f} in the flange's frame) and turned by "
        f"{np.degrees(radians):.0f}°{'' if steady else ', by another angle in each row'}"
    )
    remedy = (
        "It is the pose of a tool or fingertip: remove that offset (O_T_EE · F_T_EE⁻¹) to get the flange's (of a "
        "Panda: panda_link8's)."
        if steady
        else 'The Euler convention is another one: angles must be extrinsic "xyz", in radians.'
    )
    if "arm" not in episode.details:
        remedy += " If the arm is no Panda or FR3, ignore this."
    return [subject.finding("kinematics", WARNING, what, remedy=remedy, row=rows[0])]


@dataclass(frozen=True)
class Extremes:
    """Extremes of an episode: closedness at the start, least and most; lowest height of the flange in metres."""

    first: float
    least: float
    most: float
    lowest: float


def measure_extremes(subject: Subject) -> Extremes | None:
    """Extremes of an episode, or None if its units are wrong."""
    if units(subject):
        return None
    closedness = subject.episode.states[:, GRIPPER]
    return Extremes(
        float(closedness[0]),
        float(closedness.min()),
        float(closedness.max()),
        float(subject.episode.states[:, 2].min()),
    )


def conventions(extremes: Sequence[Extremes]) -> list[Finding]:
    """Faults of the whole data set that suggest another convention for states."""
    if len(extremes) < FEWEST:
        return []
    findings = []

    def report(check: str, severity: str, what: str, remedy: str) -> None:
        findings.append(
            Finding(check=check, episode="", number=None, row=None, severity=severity, what=what, remedy=remedy)
        )

    most = max(each.most for each in extremes)
    if MOVED_WIDTH < most <= WIDEST and max(each.most - each.least for each in extremes) > MOVED_WIDTH:
        report(
            "gripper",
            ERROR,
            f"closedness never exceeds {most:.3f} in {len(extremes)} episodes: that looks like a width in metres",
            "Convert it: closedness = 1 - width / widest opening.",
        )
    acting = [each for each in extremes if each.most - each.least > ACTS]
    closed = [each for each in acting if each.first > CLOSED]
    if len(acting) >= FEWEST and len(closed) >= INVERTED_SHARE * len(acting):
        report(
            "gripper",
            WARNING,
            f"the gripper starts closed in {len(closed)} of the {len(acting)} episodes in which it opens or closes",
            "If recordings start with an open gripper, the sign is inverted: closedness is 0 open, 1 closed.",
        )
    low = [each.lowest for each in extremes if each.lowest < TABLE]
    if len(low) >= LOW_SHARE * len(extremes):
        report(
            "flange",
            WARNING,
            f"the position is below {TABLE} m in {len(low)} of {len(extremes)} episodes, down to {min(low):.3f} m "
            "above the base",
            "It is probably the fingertip's: states are the flange's (panda_link8), some 0.10 to 0.16 m higher. If the "
            "table is lower than the robot's base, ignore this.",
        )
    return findings
