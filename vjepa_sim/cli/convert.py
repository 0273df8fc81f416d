"""``vjepa-sim convert``: data sets and weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from vjepa_sim.cli.options import data_set, refuse_unused
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb
from vjepa_sim.data.formats import FORMATS
from vjepa_sim.envs.errors import UserError, printable, unknown_name
from vjepa_sim.envs.options import OneOf, split_names
from vjepa_sim.release_options import ReleaseOptions


def _writable() -> list[str]:
    """Formats that can be written."""
    return [name for name, format in FORMATS.items() if format.writable]


@dataclass(frozen=True, kw_only=True)
class Data(Verb):
    """Convert a data set to another format.

    Attributes:
        source: data set to convert, PATH or FORMAT:PATH.
        out: new folder (for robomimic, a new .hdf5 file).
        to: format of the new data set.
        format: format of the source; detected if not given.
        cameras: cameras to convert, separated by commas: left, right, ext1, ext2, wrist or serials; or all.
    """

    source: tyro.conf.Positional[Path]
    out: Path
    to: Annotated[str, OneOf(_writable)]
    format: Annotated[str | None, OneOf(FORMATS)] = None
    cameras: str = "all"

    def run(self) -> int:
        from vjepa_sim.data.convert import convert

        source, format = data_set(self.source, self.format)
        views = None if self.cameras == "all" else split_names(self.cameras)
        try:
            with progress("converting") as bar:
                result = convert(source, self.out, self.to, format=format, views=views, on_progress=bar)
        except KeyboardInterrupt:
            print(f"{self.out} is incomplete, as noted in its conversion.json; delete it, or give another --out.")
            raise
        for sentence in result.unshared:
            print(sentence)
        for reason in list(result.left_out.values())[:5]:
            print(f"left out: {printable(reason)}")
        print(
            f"{result.written} episodes are in {self.out}, {len(result.left_out)} were left out; see {result.record}."
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Weights(Verb, ReleaseOptions):
    """Convert weights to a checkpoint folder with a card, for --checkpoint of any verb.

    Attributes:
        source: Meta's .pt file of V-JEPA 2, 2-AC or 2.1, a folder in Hugging Face's VJEPA2Model layout, or a training
            run, also of a cloned policy.
        out: new folder.
        half: store the weights in half precision, as in bundled checkpoints; they are float32 after loading.
        period: seconds between two frames; that of the release's training if not given.
    """

    source: tyro.conf.Positional[Path]
    out: Path
    half: bool = False
    period: float | None = None

    def run(self) -> int:
        from vjepa_sim.baselines.cloned_policy import Policy, is_policy
        from vjepa_sim.world_model import WorldModel

        if self.out.exists():
            raise UserError(f"{self.out} exists already. Give a new folder as --out.")
        release = self.configuration(ReleaseOptions)
        if is_policy(self.source):
            refuse_unused(self, (*(each.name for each in fields(ReleaseOptions)), "period"), "on a cloned policy")
            Policy.from_pretrained(self.source).save_pretrained(self.out, self.half)
            print(f"The policy is in {self.out}.")
            return 0
        model = WorldModel.from_pretrained(self.source, release)
        if self.period is not None:
            if model.predictor is None or self.period <= 0:
                raise UserError(f"--period {self.period}: expected seconds above 0, for an action-conditioned model.")
            model.with_card(period=self.period)
        model.save_pretrained(self.out, self.half)
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"Converted {self._source(model.card.training)}: {count / 1e6:.1f} million parameters, images of "
            f"{model.card.transform.size} pixels"
            + (f", steps of {model.card.period:.4g} s" if model.card.period else "")
            + "."
        )
        for sentence in model.card.training.get("released", {}).get("assumed", ()):
            print(f"Assumed: {sentence}")
        print(f"The checkpoint is in {self.out}.")
        return 0

    def _source(self, training: dict) -> str:
        if "released" not in training:
            return str(self.source)
        released = training["released"]
        others = [name for name in released["branches"] if name != released["branch"]]
        return f"{released['branch']!r} of {released['file']}" + (
            f" (it also holds {', '.join(others)}; choose with --branch)" if others else ""
        )


KINDS = {"data": Data, "weights": Weights}


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert a data set (`convert data`), or weights (`convert weights`)."""

    what: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Data, tyro.conf.subcommand("data")] | Annotated[Weights, tyro.conf.subcommand("weights")]
    ]

    def run(self) -> int:
        """Run the conversion; returns the exit status."""
        return self.what.run()


def check_kind(name: str) -> None:
    """Raise :class:`.UserError` for an unknown kind of conversion."""
    if name not in KINDS:
        raise unknown_name("thing to convert", name, KINDS)
