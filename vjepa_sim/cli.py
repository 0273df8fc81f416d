"""The one command line, ``vjepa-sim VERB``: the only file that may import everything."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

import envs  # noqa: F401
from envs.errors import UserError, unknown_name
from vjepa_sim.progress import progress

SPARE_DETAIL = 2  # times the model's own image size are pictures kept at, at most

# --- verbs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doctor:
    """Check this machine: OpenGL, versions and pins, and one rendered picture.

    Attributes:
        picture: where to put the picture.
    """

    picture: Path = Path("doctor.png")

    def run(self) -> int:
        from envs.doctor import examine

        failures = 0
        for check in examine(self.picture):
            print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
            if not check.ok:
                failures += 1
                print(f"      to mend it: {check.remedy}")
        print("Everything is fine." if not failures else f"{failures} of the checks failed.")
        return 0 if not failures else 1


@dataclass(frozen=True)
class Collect:
    """Collect labelled episodes in DROID's raw layout. A stopped run continues with the same command.

    Attributes:
        out: folder.
        episodes: how many in all.
        seed: 0 to 2146; equal seeds give equal episodes.
        task: reach, grasp, reach-with-object, pick-and-place, several with commas between, or all.
        object: cup, box, or all.
        size: image height and width in pixels.
        steps: control steps (0.25 s) per episode.
        randomize: largest strength of domain randomisation, 0 to 1; half of the episodes keep the nominal look.
        gripper: robotiq or panda_hand.
        mix: behaviours and their shares, such as expert=0.5,random=0.5.
        cameras: left, or left,right,wrist (several with commas between), or all.
        workers: parallel processes; 0 is one per core.
    """

    out: Path
    episodes: int
    seed: int = 0
    task: str = "all"
    object: str = "all"
    size: int = 128
    steps: int = 24
    randomize: float = 0.3
    gripper: str = "robotiq"
    mix: str | None = None
    cameras: str = "left"
    workers: int = 0

    def run(self) -> int:
        import os

        from agents.behaviors import DEFAULT_MIX
        from agents.collect import CollectConfig, collect
        from envs.scene.names import CAMERAS, OBJECTS
        from envs.tasks import TASKS

        config = CollectConfig(
            episodes=self.episodes,
            seed=self.seed,
            tasks=_choose(self.task, tuple(TASKS)),
            objects=_choose(self.object, OBJECTS),
            size=self.size,
            steps=self.steps,
            randomize=self.randomize,
            gripper=self.gripper,
            mix=dict(DEFAULT_MIX) if self.mix is None else _parse_mix(self.mix),
            cameras=_choose(self.cameras, CAMERAS),
        )
        started = time.monotonic()
        with progress("collecting") as bar:
            result = collect(self.out, config, self.workers or os.cpu_count() or 1, bar)
        for name, count in sorted(result.behaviors.items()):
            print(f"{name}: {count} episodes, {result.successes[name]} solved their task")
        rate = result.frames / (time.monotonic() - started)
        print(f"{result.present} episodes lie in {self.out} ({result.written} new, {rate:.0f} frames/s).")
        return 0


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What both stages' options have in common.

    Attributes:
        data: what to learn from, FORMAT:PATH or FORMAT:PATH@WEIGHT, such as droid:PATH@0.5; may be given several times.
        out: the run's folder.
        preset: sizes and schedule: tiny, small, base, large, huge, giant or giant-384.
        period: seconds between two frames: a number, paper (0.25) or released (1.06, what Meta's recipe makes of DROID).
        camera: left, right, ext1, ext2, wrist, or a serial.
        steps: length of the run; the preset's if not given.
        batch: clips per step, over all processes; the preset's if not given.
        learning_rate: at its peak; the preset's if not given.
        seed: of initial weights and draws.
        device: auto, cpu, cuda or cuda:NUMBER.
        precision: auto (bfloat16 where a GPU has it), float32 or bfloat16.
        recompute: gradient checkpointing: a fraction of the memory for a quarter more time.
        shard: split the encoder's weights over torchrun's processes (FSDP2).
        threads: PyTorch's; 0 leaves the choice to it.
    """

    data: tyro.conf.UseAppendAction[tuple[str, ...]]
    out: Path
    preset: str = "tiny"
    period: str = "paper"
    camera: str = "left"
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    recompute: bool = False
    shard: bool = False
    threads: int = 0

    def _adjust(self, config):
        """A recipe with the options that were given."""
        from vjepa_sim.presets import shortened

        config = shortened(config, self.steps)
        if self.batch is not None:
            config = replace(config, batch=self.batch)
        if self.learning_rate is not None:
            config = replace(config, learning_rate=config.learning_rate.scaled(self.learning_rate))
        return config

    def _mixture(self, image_size: int, bar, only_episodes: bool = False):
        """The data, with pictures about twice as large as what the model sees: random parts of them are looked at."""
        from data.clips import parse_period
        from data.mixture import load_mixture

        return load_mixture(
            self.data, bar, parse_period(self.period), self.camera, SPARE_DETAIL * image_size, only_episodes
        )

    def _compute(self):
        from vjepa_sim.compute import computing

        _set_threads(self.threads)
        return computing(self.device, self.precision, self.recompute, self.shard)


@dataclass(frozen=True, kw_only=True)
class Pretrain(_Training):
    """Stage one: train a video encoder by mask-denoising. A stopped run continues with the same command.

    Data are robot episodes (droid:PATH, sim:, lerobot:, rlds:, robomimic:), videos (video:FOLDER) and pictures
    (images:FOLDER), each with a weight if you like. Several processes: torchrun --nproc-per-node N -m vjepa_sim.cli
    pretrain …

    Attributes:
        recipe: constant or abbreviated, V-JEPA 2's two schedules; the preset's own if not given.
        crop: square (the centre), or released (Meta's: the centre up to an aspect of 1.35, squashed).
        start: a checkpoint to begin with, such as a released one, instead of random weights.
    """

    crop: str = "square"
    recipe: str | None = None
    start: str | None = None

    def run(self) -> int:
        from data.output import check_output
        from vjepa_sim.presets import get_preset, get_recipe
        from vjepa_sim.pretrain import pretrain
        from vjepa_sim.run import RUN_FILE
        from vjepa_sim.transform import CROPS

        if self.crop not in CROPS:
            raise unknown_name("crop", self.crop, CROPS)
        preset = get_preset(self.preset)
        recipe = preset.pretrain if self.recipe is None else get_recipe(self.recipe, self.preset)
        config = self._adjust(recipe)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        with self._compute() as compute:
            with progress("reading episodes") as bar:
                mixture = self._mixture(preset.encoder.image_size, bar)
            with progress("pretraining") as bar:
                model = pretrain(
                    mixture, self.out, self.preset, config, self.seed, bar, compute, self.start, CROPS[self.crop]
                )
        if compute.is_main:
            _tell_branch(model)
            _print_measured(model)
            print(
                f"The encoder lies in {self.out}. "
                f"Next: vjepa-sim train --data sim:EPISODES --encoder {self.out} --out FOLDER"
            )
        return 0


@dataclass(frozen=True, kw_only=True)
class Train(_Training):
    """Stage two: train the action-conditioned predictor on a frozen encoder. A stopped run continues likewise.

    Several processes: torchrun --nproc-per-node N -m vjepa_sim.cli train …

    Attributes:
        encoder: checkpoint of stage one: a folder, a bundled name, or a released .pt file.
        plan_every: try the planner in the simulator every so many steps, and log its success; 0 is never.
        plan_episodes: episodes of that trial, per task and object.
        first_release_rollout: repeat the mistake in the first released V-JEPA 2-AC's rollout loss.
    """

    encoder: str
    plan_every: int = 0
    plan_episodes: int = 4
    first_release_rollout: bool = False

    def run(self) -> int:
        from agents.trial import Trial
        from data.output import check_output
        from vjepa_sim.presets import get_preset
        from vjepa_sim.run import RUN_FILE
        from vjepa_sim.train import train
        from vjepa_sim.world_model import input_size

        config = replace(self._adjust(get_preset(self.preset).train), first_release_rollout=self.first_release_rollout)
        check_output(self.out, RUN_FILE)  # before the data are read, which takes long
        plan = Trial(self.plan_every, self.plan_episodes) if self.plan_every else None
        image_size = input_size(self.encoder)
        with self._compute() as compute:
            with progress("reading episodes") as bar:
                mixture = self._mixture(image_size, bar, only_episodes=True)
            with progress("training", before="encoding") as bar:
                model = train(
                    mixture, self.encoder, self.out, self.preset, config, self.seed, bar, bar.before, compute, plan
                )
        if compute.is_main:
            _tell_branch(model)
            _print_measured(model)
            print(
                f"The world model lies in {self.out}. "
                f"Next: vjepa-sim eval --checkpoint {self.out} --episodes 20 --seed 0 --out FOLDER"
            )
        return 0


@dataclass(frozen=True)
class Eval:
    """Score an agent beside expert, random and still on the same held-out episodes. A stopped run continues likewise.

    Attributes:
        out: a new folder for table, videos and eval_info.json.
        agent: mpc, expert, random or still.
        checkpoint: for mpc: a bundled name, or a folder.
        task: reach, grasp, reach-with-object, pick-and-place, several with commas between, or all.
        object: cup, box, or all.
        episodes: per task and object.
        seed: of the first episode.
        goals: paper (one goal image; three for pick and place) or dense (more sub-goal images).
        randomize: strength of domain randomisation, 0 to 1.
        size: of the camera's images in pixels.
        gripper: robotiq or panda_hand.
        videos: most videos per task and object, failures first.
        device: the planner's: auto, cpu, cuda or cuda:NUMBER.
        threads: PyTorch's; 0 leaves the choice to it.
    """

    out: Path
    agent: str = "mpc"
    checkpoint: str = "tiny"
    task: str = "all"
    object: str = "all"
    episodes: int = 20
    seed: int = 0
    goals: str = "paper"
    randomize: float = 0.0
    size: int = 256
    gripper: str = "robotiq"
    videos: int = 4
    device: str = "auto"
    threads: int = 0

    def run(self) -> int:
        from agents.evaluate import BASELINES, EvaluationConfig, evaluate
        from agents.scoring import markdown_table
        from envs.scene.names import OBJECTS
        from envs.tasks import TASKS

        config = EvaluationConfig(
            agent=self.agent,
            checkpoint=self.checkpoint,
            tasks=_choose(self.task, tuple(TASKS)),
            objects=_choose(self.object, OBJECTS),
            episodes=self.episodes,
            seed=self.seed,
            goals=self.goals,
            randomize=self.randomize,
            size=self.size,
            gripper=self.gripper,
            videos=self.videos,
            device=self.device,
        )
        if self.agent == "mpc":
            _set_threads(self.threads)
        agents = len(dict.fromkeys((self.agent, *BASELINES)))
        total = len(config.tasks) * len(config.objects) * config.episodes * agents
        done = 0
        with progress("episodes") as bar:

            def on_episode(agent: str, task: str, name: str) -> None:
                nonlocal done
                done += 1
                bar(done, total, note=f"{agent} {task} {name}")

            bar(0, total)
            info = evaluate(self.out, config, on_episode)
        print(markdown_table(info["cells"]), end="")
        print(f"\nTable, numbers and videos lie in {self.out}.")
        return 0


@dataclass(frozen=True)
class Convert:
    """Turn released weights into a checkpoint folder with a card, which every --checkpoint takes.

    Attributes:
        what: weights.
        source: Meta's .pt file, or a folder in Hugging Face's VJEPA2Model layout.
        out: a new folder.
        branch: which encoder of Meta's file: encoder, or target_encoder (the default where there is one).
        image_size: of the input in pixels; 256, or 384 if the file's name says so.
        period: seconds between two frames, if not what the release was trained with.
    """

    what: tyro.conf.Positional[str]
    source: tyro.conf.Positional[Path]
    out: Path
    branch: str | None = None
    image_size: int | None = None
    period: float | None = None

    def run(self) -> int:
        from vjepa_sim.released import is_released
        from vjepa_sim.world_model import WorldModel

        if self.what != "weights":
            raise unknown_name("thing to convert", self.what, ["weights"])
        if not self.source.exists():
            raise UserError(f"There is no {self.source}.")
        if not is_released(self.source):
            raise UserError(
                f"{self.source} is neither a .pt file nor a folder with a config.json, as weights are released."
            )
        if self.out.exists():
            raise UserError(f"{self.out} exists already. Give a new folder as --out.")
        model = WorldModel.from_pretrained(self.source, self.branch, self.image_size)
        if self.period is not None:
            if model.predictor is None or self.period <= 0:
                raise UserError(f"--period {self.period}: expected seconds above 0, for an action-conditioned model.")
            model.with_card(period=self.period)
        model.save_pretrained(self.out)
        released = model.card.training["released"]
        others = [name for name in released["branches"] if name != released["branch"]]
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"Took {released['branch']!r} of {released['file']}"
            + (f" (it also holds {', '.join(others)}; choose with --branch)" if others else "")
            + f": {count / 1e6:.1f} million parameters, pictures of {model.card.transform.size} pixels"
            + (f", steps of {model.card.period} s" if model.card.period else "")
            + "."
        )
        print(f"The checkpoint lies in {self.out}.")
        return 0


@dataclass(frozen=True)
class Bench:
    """Measure speed: ratios of things timed in turn in one run.

    Attributes:
        what: sim, model, data or plan.
        json: where to write the numbers.
        checkpoint: for model and plan.
        preset: for model: sizes to measure beside the checkpoint, several with commas between, all, or none.
        data: for data: a data set such as sim:episodes; without it a small one is made.
        threads: PyTorch's; 0 leaves the choice to it.
    """

    what: tyro.conf.Positional[str]
    json: Path | None = None
    checkpoint: str = "tiny"
    preset: str = "all"
    data: str | None = None
    threads: int = 0

    def run(self) -> int:
        from agents.bench import bench_data, bench_plan, bench_sim
        from data.files import write_json
        from data.provenance import provenance

        benches = {
            "sim": bench_sim,
            "model": self._bench_model,
            "data": lambda: bench_data(self.data),
            "plan": lambda: bench_plan(self.checkpoint),
        }
        if self.what not in benches:
            raise unknown_name("bench", self.what, benches)
        if self.what in ("model", "plan"):
            _set_threads(self.threads)
        print(f"Measuring {self.what}; other work on this machine would spoil it.", file=sys.stderr)
        result = benches[self.what]()
        for name, value in result.items():
            for key, number in value.items() if isinstance(value, dict) else [("", value)]:
                print(f"{name} {key}".strip() + (f": {number:.4g}" if isinstance(number, float) else f": {number}"))
        if self.json:
            write_json(self.json, {"bench": self.what, **result, "provenance": provenance()})
        return 0

    def _bench_model(self) -> dict:
        from agents.bench import bench_model
        from vjepa_sim.presets import PRESETS

        sizes = () if self.preset == "none" else _choose(self.preset, tuple(name for name in PRESETS if name != "tiny"))
        with progress("models") as bar:
            return bench_model(self.checkpoint, sizes, bar)


VERBS: dict[str, type] = {
    "doctor": Doctor,
    "collect": Collect,
    "pretrain": Pretrain,
    "train": Train,
    "eval": Eval,
    "convert": Convert,
    "bench": Bench,
}


# --- helpers --------------------------------------------------------------------------------------------------


def _choose(name: str, valid: tuple[str, ...]) -> tuple[str, ...]:
    """``all``, or names with commas between; the configuration refuses an unknown one."""
    names = tuple(part.strip() for part in name.split(",") if part.strip())
    if not names:
        raise UserError(f"{name!r} names nothing. Give all, or some of: {', '.join(valid)}.")
    return valid if names == ("all",) else names


def _parse_mix(text: str) -> dict[str, float]:
    mix = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            mix[name.strip()] = float(share)
        except ValueError:
            raise UserError(f"--mix {text!r}: expected NAME=SHARE,NAME=SHARE; {part!r} is not of that form.") from None
    return mix


def _set_threads(threads: int) -> None:
    import torch

    if threads < 0:
        raise UserError(f"--threads {threads}: give a positive number, or 0 to leave the choice to PyTorch.")
    if threads:
        torch.set_num_threads(threads)


def _print_measured(model) -> None:
    for name, value in model.card.measured.items():
        if isinstance(value, float):
            print(f"{name}: {value:.4g}")


def _tell_branch(model) -> None:
    """Which of a released file's two encoders was taken."""
    released = model.card.training.get("released") or model.card.training.get("start", {}).get("released")
    if released:
        print(f"Of {released['file']}, {released['branch']!r} was taken; `convert --branch` takes the other.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 a check failed, 2 a user's mistake, 130 stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments and not arguments[0].startswith("-") and arguments[0] not in VERBS:
            raise unknown_name("verb", arguments[0], VERBS)
        verb = tyro.extras.subcommand_cli_from_dict(
            VERBS,
            args=arguments,
            prog="vjepa-sim",
            description="Simulate, collect, train and plan with V-JEPA 2 world models.",
        )
        return verb.run()
    except UserError as error:
        print(f"vjepa-sim: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that can't be written, a file in the way
        print(f"vjepa-sim: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vjepa-sim: stopped. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
