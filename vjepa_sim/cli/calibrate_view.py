"""``vjepa-sim calibrate-view``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_sim.agents.calibration.config import CalibrationConfig
from vjepa_sim.cli.keys import ask
from vjepa_sim.cli.options import refuse_unused, set_threads
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.robot import LimitOptions, RobotOptions, chosen_limits
from vjepa_sim.cli.verb import Verb
from vjepa_sim.envs.errors import UserError

if TYPE_CHECKING:
    from vjepa_sim.agents.calibration.moves import Moves
    from vjepa_sim.envs.safety import SafetyLimits
    from vjepa_sim.protocols import LatentDynamics

ROBOTS_OWN = ("host", "camera", "gripper_address", "driver", "period", "home", "yes", "limits")
SCENE_OPTIONS = {"object_name": "object", "size": "size"}  # options of settings that some backends take
CONFIG_FILE, SWEEP_FILE = "calibration_config.json", "sweep.md"
REFUSAL = "Not calibrated."


@dataclass(frozen=True, kw_only=True)
class CalibrateView(Verb, RobotOptions, CalibrationConfig):
    """Calibrate a world model to a camera at another place than in training, by a rotation of planned motions.

    The arm makes small random horizontal motions; eval --view and deploy --view use the result.

    Attributes:
        out: new folder for view.json, moves.csv and a plot; with --sweep, for a table and a plot.
        home: whether a robot moves to its start posture and opens the gripper first, after confirmation; the way must
            be free.
        yes: on a simulated robot, confirm everything beforehand.
        limits: limits of the safety envelope on a robot; the defaults of arm and gripper where not given.
        threads: number of PyTorch threads; 0 for PyTorch's default.
    """

    out: Path
    home: bool = False
    yes: bool = False
    limits: LimitOptions = field(default_factory=LimitOptions)
    threads: int = 0

    def run(self) -> int:
        from vjepa_sim.agents.calibration.calibration import VIEW_FILE
        from vjepa_sim.agents.calibration.moves import check_moves
        from vjepa_sim.checkpoint import fingerprint
        from vjepa_sim.data.output import check_output, claimed
        from vjepa_sim.envs.cameras import without_password
        from vjepa_sim.registry import load_world_model

        config = self.configuration(CalibrationConfig)
        if config.movable:
            refuse_unused(self, ROBOTS_OWN, "in the simulator")
        else:
            takes = config.spec.takes()
            unused = [option for setting, option in SCENE_OPTIONS.items() if setting not in takes]
            if not (config.spec.simulated and config.spec.asks):
                unused.append("yes")
            kind = "on a simulated robot" if config.spec.simulated else "on a real robot"
            refuse_unused(self, tuple(unused), kind)
        limits = chosen_limits(self.limits, config.backend, config.arm_name, config.gripper)
        check_moves(config.moves, config.move_size, limits)
        check_output(self.out, CONFIG_FILE)
        if (self.out / VIEW_FILE).exists() or (self.out / SWEEP_FILE).exists():
            raise UserError(f"{self.out} holds a finished calibration. Give a new folder as --out.")
        set_threads(self.threads)
        model = load_world_model(config.checkpoint)
        settings = {name: value for name, value in asdict(self).items() if name not in ("out", "yes", "threads")}
        settings |= {"camera": None if self.camera is None else without_password(self.camera)}
        settings |= {"arm": config.arm_name, "checkpoint_crc32": fingerprint(config.checkpoint)}
        with claimed(self.out, CONFIG_FILE, settings):
            if config.sweep:
                self._sweep(config, model)
                return 0
            moves, camera = self._simulated(config, model) if config.movable else self._on_robot(config, model, limits)
            self._calibrate(config, moves, camera)
        return 0

    def _sweep(self, config: CalibrationConfig, model: LatentDynamics) -> None:
        from vjepa_sim.agents.calibration.plot import draw_sweep
        from vjepa_sim.agents.calibration.simulated import sweep, sweep_csv, sweep_markdown
        from vjepa_sim.data.files import write_image, write_text

        with progress("moves") as bar:
            rows = sweep(config, model, bar)
        write_text(self.out / "sweep.csv", sweep_csv(rows))
        write_image(self.out / "sweep.png", draw_sweep(rows))
        write_text(self.out / SWEEP_FILE, sweep_markdown(rows))
        print(sweep_markdown(rows), end="")
        print(f"\nThe table and its plot are in {self.out}.")

    def _calibrate(self, config: CalibrationConfig, moves: Moves, camera: dict[str, Any]) -> None:
        from vjepa_sim.agents.calibration.calibration import fit_view
        from vjepa_sim.agents.calibration.plot import draw_moves
        from vjepa_sim.checkpoint import fingerprint
        from vjepa_sim.data.files import write_image, write_text

        view = fit_view(moves, config.checkpoint, fingerprint(config.checkpoint), camera)
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

    def _simulated(self, config: CalibrationConfig, model: LatentDynamics) -> tuple[Moves, dict[str, Any]]:
        from vjepa_sim.agents.calibration.simulated import observe_moves
        from vjepa_sim.envs.scene.cameras import LEFT, left_at

        viewpoint = LEFT.viewpoint if config.azimuth is None else left_at(config.azimuth)
        with progress("moves") as bar:
            return observe_moves(config, model, viewpoint, bar)

    def _on_robot(
        self, config: CalibrationConfig, model: LatentDynamics, limits: SafetyLimits
    ) -> tuple[Moves, dict[str, Any]]:
        from vjepa_sim.agents.calibration.moves import approach, infer_moves, make_moves
        from vjepa_sim.agents.deployment.preflight import check_control, preflight, require
        from vjepa_sim.envs.backends import make_robot
        from vjepa_sim.envs.observation import Goal

        settings = self.robot_settings(config.backend) | config.scene_settings()
        period = round(self.period or model.card.period or 1.0, 4)
        env = make_robot(
            "reach",
            config.backend,
            config.arm_name,
            gripper=config.gripper,
            period=period,
            limits=limits,
            **settings,
        )
        try:
            goal = Goal(env.robot.glimpse().rgb, 1)
            require(preflight(env, [goal], card=model.card), print, REFUSAL)
            first = "move to its start posture and open, and then " if self.home else ""
            where = "its present position" if config.place is None else f"{list(config.place)} m, where it goes first"
            if not self._agrees(
                f"The arm will {first}make {config.moves} horizontal motions of about {100 * config.move_size:g} cm "
                f"around {where}. Is the way free and the emergency stop within reach?"
            ):
                raise UserError(f"{REFUSAL} The operator did not agree.")
            env.arm.reset()
            require(check_control(env), print, REFUSAL)
            if self.home:
                env.robot.go_home()
                env.arm.reset()
            if config.place is not None:
                approach(env.arm, config.place)
            with progress("moves") as bar:
                observations = make_moves(
                    env.arm, count=config.moves, size=config.move_size, seed=config.seed, on_move=bar
                )
            camera = env.robot.camera_card
        finally:
            env.close()
        with progress("inferring motions") as bar:
            return infer_moves(model, observations, bar), camera

    def _agrees(self, question: str) -> bool:
        return self.yes or not self.spec.asks or ask(question)
