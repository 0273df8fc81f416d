"""``vjepa-sim lint``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb
from vjepa_sim.data.formats import FORMATS
from vjepa_sim.envs.errors import UserError
from vjepa_sim.envs.options import OneOf


@dataclass(frozen=True, kw_only=True)
class Lint(Verb):
    """Look for mistakes in a data set: each with the episode, the row and the remedy. Ends with 1 if there are errors.

    Attributes:
        path: the data set.
        format: the data set's format, if it isn't found out by itself.
        camera: left, right, ext1, ext2, wrist, or a serial.
        json: where to write what was found.
        quarantine: a folder to move episodes with errors to, after they are listed and you have said yes.
        yes: say so beforehand.
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

        with progress("looking through") as bar:
            reader = open_reader(self.path, self.format, bar)
        with progress("checking") as bar:
            findings = lint(reader, self.camera, bar)
        print(f"{len(reader)} episodes were checked. {findings_text(findings)}")
        if self.json:
            rows = findings_rows(findings)
            write_json(self.json, {"lint": str(self.path), "findings": rows, "provenance": provenance()})
        if self.quarantine is not None:
            self._move(reader, findings, plan_quarantine(reader, findings))
        return 1 if any(finding.severity == "error" for finding in findings) else 0

    def _move(self, reader, findings, folders: list[Path]) -> None:
        from vjepa_sim.data.lint import quarantine

        if not folders:
            print("No single episode has errors that moving it would mend; nothing is moved.")
            return
        print(f"To be moved to {self.quarantine}:")
        for folder in folders:
            print(f"  {folder}")
        if not self.yes:
            if not sys.stdin.isatty():
                raise UserError("Nothing was moved: nobody is there to say yes. Look at the list, then add --yes.")
            if input(f"Move {len(folders)} episodes? [y/N] ").strip().lower() not in ("y", "yes"):
                print("Nothing was moved.")
                return
        record = quarantine(folders, reader.root, self.quarantine, findings)
        print(f"{len(folders)} episodes were moved; {record} tells what, why and from where.")
