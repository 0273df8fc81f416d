"""``vjepa-sim inspect``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vjepa_sim.cli.options import data_set
from vjepa_sim.cli.progress import progress
from vjepa_sim.cli.verb import Verb
from vjepa_sim.data.formats import FORMATS
from vjepa_sim.envs.errors import UserError, printable
from vjepa_sim.envs.options import OneOf


@dataclass(frozen=True, kw_only=True)
class Inspect(Verb):
    """Summarise a data set: counts, hours, cameras, actions, shares of idle steps and successes, and thumbnails.

    Attributes:
        path: data set, PATH or FORMAT:PATH.
        format: format of the data set; detected if not given.
        camera: left, right, ext1, ext2, wrist, or a serial.
        episodes: number of random episodes to read; counts are over all episodes.
        image: file for the thumbnails, .png; one of an earlier inspection is replaced.
        json: file for the numbers.
    """

    path: tyro.conf.Positional[Path]
    format: Annotated[str | None, OneOf(FORMATS)] = None
    camera: str = "left"
    episodes: int = 200
    image: Path = Path("contact-sheet.png")
    json: Path | None = None

    def run(self) -> int:
        from vjepa_sim.data.contact_sheet import contact_sheet
        from vjepa_sim.data.files import check_replaceable, write_image, write_json
        from vjepa_sim.data.formats import open_reader
        from vjepa_sim.data.provenance import provenance
        from vjepa_sim.data.summary import summarize, text

        if self.episodes < 1:
            raise UserError(f"--episodes {self.episodes}: at least one must be read.")
        if self.image.suffix.lower() != ".png":
            raise UserError(f"--image {self.image}: give a name that ends in .png.")
        check_replaceable(self.image)
        path, format = data_set(self.path, self.format)
        with progress("opening") as bar:
            reader = open_reader(path, format, bar)
        with progress("reading episodes") as bar:
            summary = summarize(reader, self.camera, self.episodes, bar)
        print(printable(text(summary)))
        write_image(self.image, contact_sheet(reader, self.camera))
        print(f"\nThumbnails of first, middle and last frames are in {self.image}.")
        if self.json:
            write_json(self.json, {"inspect": str(self.path), **summary.to_dict(), "provenance": provenance()})
        return 0
