"""``vjepa-sim lint``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vjepa_sim.cli.options import data_set
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb
from vjepa_sim.data.formats import FORMATS
from vjepa_sim.envs.errors import UserError, printable
from vjepa_sim.envs.options import OneOf

if TYPE_CHECKING:
    from vjepa_sim.data.formats import Reader
    from vjepa_sim.data.lint import Finding


@dataclass(frozen=True, kw_only=True)
class Lint(Verb):
    """Check a data set for mistakes, each with the episode, the row and a remedy. The exit status is 1 if there are
    errors.

    Attributes:
        path: data set, PATH or FORMAT:PATH.
        format: format of the data set; detected if not given.
        camera: left, right, ext1, ext2, wrist, or a serial.
        json: file for the findings.
        quarantine: folder to which episodes with errors are moved, after confirmation.
        yes: confirm the move beforehand.
    """

    path: tyro.conf.Positional[Path]
    format: Annotated[str | None, OneOf(FORMATS)] = None
    camera: str = "left"
    json: Path | None = None
    quarantine: Path | None = None
    yes: bool = False

    def run(self) -> int:
        from vjepa_sim.data.files import write_json
        from vjepa_sim.data.formats import open_reader
        from vjepa_sim.data.lint import findings_rows, findings_text, lint, plan_quarantine
        from vjepa_sim.data.provenance import provenance

        with progress("opening") as bar:
            reader = open_reader(*data_set(self.path, self.format), bar)
        with progress("checking") as bar:
            findings = lint(reader, self.camera, bar)
        print(f"{len(reader)} episodes were checked. {findings_text(findings)}")
        if self.json:
            rows = findings_rows(findings)
            write_json(self.json, {"lint": str(self.path), "findings": rows, "provenance": provenance()})
        if self.quarantine is not None:
            self._move(reader, findings, plan_quarantine(reader, findings), to=self.quarantine)
        return 1 if any(finding.severity == "error" for finding in findings) else 0

    def _move(self, reader: Reader, findings: list[Finding], folders: list[Path], to: Path) -> None:
        from vjepa_sim.data.lint import quarantine

        if not folders:
            print("No episode has errors of its own; nothing is moved.")
            return
        print(f"To be moved to {to}:")
        for folder in folders:
            print(f"  {printable(str(folder))}")
        if not self.yes:
            if not sys.stdin.isatty():
                raise UserError("Nothing was moved: there is no terminal to confirm. Check the list, then add --yes.")
            if input(f"Move {len(folders)} episodes? [y/N] ").strip().lower() not in ("y", "yes"):
                print("Nothing was moved.")
                return
        record = quarantine(folders, reader.root, to, findings)
        print(f"{len(folders)} episodes were moved; {record} lists them with the findings and their former paths.")
