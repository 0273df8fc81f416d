"""Base class of all verbs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import tyro

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb of the command line; its fields are its options.

    A verb that is also a subclass of a configuration has the configuration's fields as options. The method
    ``configuration`` checks them, so that errors are printed as one line.

    Attributes:
        plugin: module or Python file that registers objects, tasks, arms, agents or other parts.
    """

    plugin: tyro.conf.UseAppendAction[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Skip the checks of the configuration, see :meth:`configuration`."""

    def configuration(self, kind: type[Config]) -> Config:
        """Make the configuration from the options.

        Args:
            kind: class of the configuration.

        Raises:
            UserError: an option is invalid.
        """
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(kind)}
        return kind(**values)

    def run(self) -> int:
        """Run the verb; returns the exit status."""
        raise NotImplementedError
