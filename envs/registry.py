"""Named things of one kind: what ships with the project, and what plugins add."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.envs.plugins import load_plugins

NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")  # names become options, file names and parts of ids


class Named(Protocol):
    """Anything that tells its name."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Mapping[str, T]):
    """Things of one kind by name, in the order in which they were registered.

    The first look-up loads the plugins (:mod:`vjepa_sim.envs.plugins`), so a user's own things are found wherever the
    project's are: in every verb, in every worker process.

    >>> OBJECTS.register(ObjectSpec(name="bottle", ...))
    >>> OBJECTS["bottel"]
    UserError: Unknown object 'bottel'. Did you mean 'bottle'? Choose one of: bottle, box, cup.
    """

    def __init__(self, kind: str):
        """
        Args:
            kind: what the things are, as error messages call one.
        """
        self.kind = kind
        self._things: dict[str, T] = {}
        self._subscribers: list[Callable[[T], None]] = []

    def register(self, thing: T) -> T:
        """Add a thing under its ``name``; returns it, so that this decorates classes too.

        Raises:
            UserError: the name is taken by another thing, or can't be an option's value.
        """
        name = thing.name
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UserError(
                f"A {self.kind} can't be called {name!r}: expected lower-case letters and digits, with single hyphens "
                "or underscores between them."
            )
        if self._things.get(name, thing) is not thing:
            raise UserError(f"There is a {self.kind} {name!r} already. Register yours under another name.")
        self._things[name] = thing
        for told in self._subscribers:
            told(thing)
        return thing

    def subscribe(self, told: Callable[[T], None]) -> None:
        """Call a function with everything that is registered, by now and later."""
        self._subscribers.append(told)
        for thing in tuple(self._things.values()):
            told(thing)

    def registered(self) -> tuple[T, ...]:
        """What is registered by now, without loading plugins."""
        return tuple(self._things.values())

    def __getitem__(self, name: str) -> T:
        """The thing of a name.

        Raises:
            UserError: there is none; the message suggests the nearest.
        """
        load_plugins()
        if name not in self._things:
            raise unknown_name(self.kind, name, self._things)
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(tuple(self._things))

    def __len__(self) -> int:
        load_plugins()
        return len(self._things)

    def get(self, name: str, default: T | None = None) -> T | None:
        """The thing of a name, or a default where there is none."""
        load_plugins()
        return self._things.get(name, default)

    def check(self, *names: str) -> None:
        """Raise :class:`.UserError` for the first name that nothing has."""
        for name in names:
            self[name]
