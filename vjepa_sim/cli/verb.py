"""What all verbs have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import tyro

Config = TypeVar("Config")


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb of the command line; its fields are its options.

    A verb that is also a configuration's subclass has the configuration's fields as options. They are checked when the
    configuration itself is made of them, so that mistakes are told in one line.

    Attributes:
        plugin: module or file that registers objects, tasks, arms, agents or more of your own; may be given several
            times.
    """

    plugin: tyro.conf.UseAppendAction[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Check nothing yet."""

    def configuration(self, kind: type[Config]) -> Config:
        """The configuration that these options are.

        Raises:
            UserError: it makes no sense.
        """
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(kind)}  # type: ignore[arg-type]
        return kind(**values)

    def run(self) -> int:
        """Do it; returns the exit status."""
        raise NotImplementedError
