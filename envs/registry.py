"""Registries of named parts: those of the project and those of plugins."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.plugins import load_plugins, on_failure

NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")  # names become options, file names and parts of ids
LONGEST_NAME = 64
PACKAGE = "vjepa_sim."
RESERVED = ("all", "none")  # values of options that choose among names


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """Name on the command line."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Mapping[str, T]):
    """Parts of one kind by name, in the order in which they were registered.

    The first look-up loads the plugins (:mod:`vjepa_sim.envs.plugins`), so parts of a plugin are available wherever the
    project's are: in every verb, in every worker process.

    >>> OBJECTS.register(ObjectSpec(name="bottle", ...))
    >>> OBJECTS["bottel"]
    UserError: Unknown object 'bottel'. Did you mean 'bottle'? Choose one of: bottle, box, cup.
    """

    def __init__(self, kind: str, of: type | None = None, check: Callable[[T], object] = lambda part: None):
        """
        Args:
            kind: singular noun for the parts in error messages, such as ``object``.
            of: class of every part; None for any.
            check: raises :class:`.UserError` for a part that can't be registered.
        """
        self.kind = kind
        self._of, self._check = of, check
        self._parts: dict[str, T] = {}
        self._subscribers: list[Callable[[T], object]] = []

    def register(self, part: T) -> T:
        """Add a part under its ``name``; returns it, so that this method can decorate a class.

        Raises:
            UserError: the name is already taken, or has other characters than the value of an option may have; or the
                part lacks something.
        """
        name = getattr(part, "name", None)
        if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME or name in RESERVED:
            raise UserError(
                f"{str(name)[: 2 * LONGEST_NAME]!r} can't be the name of one {self.kind}: expected lower-case letters "
                f"and digits, with single hyphens or underscores between them, up to {LONGEST_NAME}, and not "
                f"{' or '.join(RESERVED)}."
            )
        if self._of is not None and not isinstance(part, self._of):
            given = part.__name__ if isinstance(part, type) else type(part).__name__
            raise UserError(
                f"{self.kind.capitalize()} {name!r} must be registered as {self._of.__name__}, not {given}."
            )
        if self._parts.get(name, part) is not part:
            raise UserError(f"There is already one {self.kind} {name!r}. Register yours under another name.")
        self._check(part)
        new = name not in self._parts
        self._parts[name] = part
        try:
            for subscriber in self._subscribers:
                subscriber(part)
        except BaseException:
            if new:
                del self._parts[name]
            raise
        # What a plugin that fails has registered is taken back, but nothing of the project that it imported first.
        if new and not sys._getframe(1).f_globals.get("__name__", "").startswith(PACKAGE):
            on_failure(lambda: self._parts.pop(name, None))
        return part

    def subscribe(self, subscriber: Callable[[T], object]) -> None:
        """Call a function with every part, those registered already and those registered later."""
        self._subscribers.append(subscriber)
        for part in tuple(self._parts.values()):
            subscriber(part)

    def registered(self) -> tuple[T, ...]:
        """Parts registered so far, without loading plugins."""
        return tuple(self._parts.values())

    def __getitem__(self, name: str) -> T:
        """The part with a name.

        Raises:
            UserError: there is none; the message suggests the nearest name.
        """
        load_plugins()
        if not isinstance(name, str) or name not in self._parts:
            error = unknown_name(self.kind, name, self._parts)
            raise error if "Did you mean" in str(error) else UserError(f"{error} A plugin's are found with --plugin.")
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(tuple(self._parts))

    def __len__(self) -> int:
        load_plugins()
        return len(self._parts)

    def get(self, name: str, default: T | None = None) -> T | None:
        """The part with a name, or a default if there is none."""
        load_plugins()
        return self._parts.get(name, default)

    def check(self, *names: str) -> None:
        """Raise :class:`.UserError` for the first unknown name."""
        for name in names:
            self[name]
