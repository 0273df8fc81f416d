"""``vjepa-sim calibrate-view``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from vjepa_sim.cli.keys import ask
from vjepa_sim.cli.options import refuse_unused, set_threads
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.robot import LimitOptions, RobotOptions, chosen_limits
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.grippers import GRIPPERS
from vjepa_sim.envs.objects import OBJECTS
from vjepa_sim.envs.options import OneOf

BACKENDS = ("sim", "loopback", "franka")
ROBOTS_OWN = ("host", "camera", "gripper_address", "driver", "period", "home", "yes", "limits")
CONFIG_FILE, SWEEP_FILE = "calibration_config.json", "sweep.md"
REFUSAL = "Not calibrated."


@dataclass(frozen=True, kw_only=True)
class CalibrateView(Verb, RobotOptions):
    """Calibrate a world model to a camera at another place than in training, by a rotation of planned motions.

    The arm makes small random horizontal motions; eval --view and deploy --view use the result.

    Attributes:
        out: new folder for view.json, moves.csv and a plot; with --sweep, for a table and a plot.
        backend: sim, loopback (a simulated robot with the real one's network protocol) or franka (the real one).
        checkpoint: world model: a bundled name or a folder.
        azimuth: azimuth of the simulated camera in degrees, 0 in front of the arm, 90 at its left.
        sweep: calibrate simulated cameras at 35, 45, … 85 degrees, and tabulate the results.
        moves: number of motions.
        move_size: nominal length of a motion in metres; lengths vary by 20 percent.
        seed: random seed of the motions and, in the simulator, of the scene.
        start: first position of the flange x y z in metres; on a real robot, its present position if not given.
        object: object, in the simulator and on loopback.
        size: height and width of the images in pixels, in the simulator and on loopback.
        gripper: gripper.
        home: whether a robot moves to its start posture and opens the gripper first, after confirmation; the way must
            be free.
        yes: on loopback, confirm everything beforehand.
        limits: limits of the safety envelope on a robot; the gripper's defaults where not given.
        threads: number of PyTorch threads; 0 for PyTorch's default.
    """

    out: Path
    backend: Annotated[str, OneOf(BACKENDS)] = "sim"
    checkpoint: str = "tiny"
    azimuth: float | None = None
    sweep: bool = False
    moves: int = 30
    move_size: float = 0.05
    seed: int = 0
    start: tuple[float, float, float] | None = None
    object: Annotated[str, OneOf(OBJECTS)] = "box"
    size: int = 256
    gripper: Annotated[str, OneOf(GRIPPERS)] = "robotiq"
    home: bool = False
    yes: bool = False
    limits: LimitOptions = field(default_factory=LimitOptions)
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.calibration import VIEW_FILE, check_moves
        from vjepa_sim.checkpoint import fingerprint
        from vjepa_sim.data.output import check_output, claimed
        from vjepa_sim.registry import load_world_model

        if self.backend not in BACKENDS:
            raise unknown_name("backend", self.backend, BACKENDS)
        if self.backend != "sim" and (self.sweep or self.azimuth is not None):
            raise UserError("Only a simulated camera can be moved: leave out --azimuth and --sweep.")
        if self.backend == "sim":
            refuse_unused(self, ROBOTS_OWN, "in the simulator")
        elif self.backend == "franka":
            refuse_unused(self, ("object", "size", "yes"), "on a real robot")
        if self.sweep and self.azimuth is not None:
            raise UserError("--sweep has its own azimuths; leave out --azimuth.")
        check_moves(self.moves, self.move_size, chosen_limits(self.limits, self.backend, self.gripper))
        check_output(self.out, CONFIG_FILE)
        if (self.out / VIEW_FILE).exists() or (self.out / SWEEP_FILE).exists():
            raise UserError(f"{self.out} holds a finished calibration. Give a new folder as --out.")
        set_threads(self.threads)
        model = load_world_model(self.checkpoint)
        config = {name: value for name, value in asdict(self).items() if name not in ("out", "yes", "threads")}
        with claimed(self.out, CONFIG_FILE, {**config, "checkpoint_crc32": fingerprint(self.checkpoint)}):
            if self.sweep:
                self._sweep(model)
            else:
                self._calibrate(*(self._in_simulation(model) if self.backend == "sim" else self._on_robot(model)))
        return 0

    def _sweep(self, model) -> None:
        from vjepa_sim.agents.calibration.plot import draw_sweep
        from vjepa_sim.agents.calibration.simulated import sweep, sweep_csv, sweep_markdown
        from vjepa_sim.data.files import write_image, write_text

        with progress("moves") as bar:
            rows = sweep(self._simulated(), model, bar)
        write_text(self.out / "sweep.csv", sweep_csv(rows))
        write_image(self.out / "sweep.png", draw_sweep(rows))
        write_text(self.out / SWEEP_FILE, sweep_markdown(rows))
        print(sweep_markdown(rows), end="")
        print(f"\nThe table and its plot are in {self.out}.")

    def _calibrate(self, moves, view) -> None:
        from vjepa_sim.agents.calibration.plot import draw_moves
        from vjepa_sim.data.files import write_image, write_text

        write_text(self.out / "moves.csv", moves.to_csv())
        write_image(self.out / "moves.png", draw_moves(moves, view))
        view.save(self.out)
        print(view.to_markdown(), end="")
        if view.error_rotated >= view.error_shifted:
            print(
                f"\nThe rotation does not reduce the error on held-out motions: plan without it. It is in {self.out}."
            )
        else:
            print(f"\nIt is in {self.out}; eval and deploy take it as --view {self.out}.")

    def _in_simulation(self, model):
        from vjepa_sim.envs.scene.cameras import LEFT, left_at

        viewpoint = LEFT.viewpoint if self.azimuth is None else left_at(self.azimuth)
        with progress("moves") as bar:
            moves = self._simulated().observe(model, viewpoint, bar)
        return moves, self._simulated().fit(moves, viewpoint)

    def _simulated(self):
        from vjepa_sim.agents.calibration import OVER_TABLE
        from vjepa_sim.agents.calibration.simulated import SimulatedView

        return SimulatedView(
            checkpoint=self.checkpoint,
            gripper=self.gripper,
            object_name=self.object,
            size=self.size,
            seed=self.seed,
            moves=self.moves,
            move_size=self.move_size,
            start=self.start or OVER_TABLE,
        )

    def _on_robot(self, model):
        from vjepa_sim.agents.calibration import OVER_TABLE, approach, fit_view, infer_moves, make_moves
        from vjepa_sim.agents.deployment.preflight import check_control, preflight, require
        from vjepa_sim.checkpoint import fingerprint
        from vjepa_sim.envs.backends import make_robot
        from vjepa_sim.envs.observation import Goal

        settings = self.robot_settings(self.backend)
        limits = chosen_limits(self.limits, self.backend, self.gripper)
        start = self.start
        if self.backend == "loopback":
            settings |= {"object_name": self.object, "size": self.size}
            start = start or OVER_TABLE
        period = round(self.period or model.card.period or 1.0, 4)
        env = make_robot("reach", self.backend, gripper=self.gripper, period=period, limits=limits, **settings)
        try:
            goal = Goal(env.robot.glimpse().rgb, 1)
            require(preflight(env, [goal], card=model.card), print, REFUSAL)
            first = "move to its start posture and open, and then " if self.home else ""
            where = "its present position" if start is None else f"{list(start)} m, where it goes first"
            if not self._agrees(
                f"The arm will {first}make {self.moves} horizontal motions of about {100 * self.move_size:g} cm around "
                f"{where}. Is the way free and the emergency stop within reach?"
            ):
                raise UserError(f"{REFUSAL} The operator did not agree.")
            env.arm.reset()
            require([check_control(env)], print, REFUSAL)
            if self.home:
                env.robot.go_home()
            if start is not None:
                approach(env.arm, start)
            with progress("moves") as bar:
                observations = make_moves(env.arm, count=self.moves, size=self.move_size, seed=self.seed, on_move=bar)
            camera = env.robot.camera_card
        finally:
            env.close()
        with progress("inferring motions") as bar:
            moves = infer_moves(model, observations, bar)
        return moves, fit_view(moves, self.checkpoint, fingerprint(self.checkpoint), camera)

    def _agrees(self, question: str) -> bool:
        return self.yes or ask(question)
