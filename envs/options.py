"""Command-line forms of configuration fields that are names from a registry."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from vjepa_sim.envs.errors import UserError


class OneOf(PrimitiveConstructorSpec[Any]):
    """Annotation of a field that is one name of a registry; help texts and completions list the registered names."""

    nargs = 1
    choices = None
    _action = None
    _names: Iterable[str] | Callable[[], Iterable[str]] | str

    def __init__(self, names: Iterable[str] | Callable[[], Iterable[str]] | str):
        """
        Args:
            names: registry, ``module:name`` of one that is imported only when needed, or a function that returns the
                names.
        """
        object.__setattr__(self, "_names", names)  # the base class is frozen

    # The base class compares placeholders, for which all registries would be imported.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def names(self) -> tuple[str, ...]:
        """All names that are valid now."""
        names = self._names
        return tuple(_found(names) if isinstance(names, str) else names if isinstance(names, Iterable) else names())

    @property
    def metavar(self) -> str:
        """Placeholder of the value in the help text."""
        return "{" + ",".join(self.names) + "}"

    def instance_from_str(self, args: list[str]) -> Any:
        """The value for a command-line argument; the configuration refuses unknown names."""
        return args[0]

    def is_instance(self, instance: Any) -> bool:
        """Whether a default value has this type."""
        return instance is None or isinstance(instance, str)

    def str_from_instance(self, instance: Any) -> list[str]:
        """Command-line form of a default value."""
        return [str(instance)]


def _found(path: str) -> Any:
    """The object of a module, by ``module:name``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def descriptions(registry: Mapping[str, Any] | str, text: str = "about") -> str:
    """Each part of a registry with its description, for help texts.

    Args:
        registry: registry, or ``module:name`` of one that is imported only now.
        text: attribute of the parts with the description; parts with an empty one are left out.
    """
    parts = _found(registry) if isinstance(registry, str) else registry
    return "; ".join(f"{name}: {getattr(part, text)}" for name, part in parts.items() if getattr(part, text))


def described(registry: Mapping[str, Any] | str) -> object:
    """Annotation of a field with a default whose help text ends with the :func:`descriptions` of a registry's parts."""
    return tyro.conf.arg(help_behavior_hint=lambda default: f"(default: {default}) {descriptions(registry)}")


class SeveralOf(OneOf):
    """Annotation of a field that is several names of a registry: separated by commas, or ``all``."""

    empty: ClassVar[str] = "none"

    @property
    def metavar(self) -> str:
        """Placeholder of the value in the help text."""
        return "{all," + ",".join(self.names) + "}[,…]"

    def instance_from_str(self, args: list[str]) -> tuple[str, ...]:
        """The value for a command-line argument."""
        return parse_names(args[0], self.names)

    def is_instance(self, instance: Any) -> bool:
        """Whether a default value has this type."""
        return isinstance(instance, tuple)

    def str_from_instance(self, instance: Sequence[str]) -> list[str]:
        """Command-line form of a default value."""
        return ["all" if tuple(instance) == self.names else ",".join(instance) or self.empty]


def parse_names(text: str, valid: tuple[str, ...]) -> tuple[str, ...]:
    """Parse ``all``, ``none``, or names separated by commas.

    Raises:
        UserError: the text holds no name.
    """
    if text == "all":
        return valid
    if text == SeveralOf.empty:
        return ()
    return split_names(text, f"Give all, or some of: {', '.join(valid)}.")


def split_names(text: str, remedy: str = "Give names separated by commas.") -> tuple[str, ...]:
    """Split names separated by commas.

    Args:
        text: value of an option.
        remedy: what to give instead of a text without names.

    Raises:
        UserError: the text holds no name.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UserError(f"{text!r} holds no name. {remedy}")
    return names


class Shares(OneOf):
    """Annotation of a field with a share for each of some names of a registry: ``NAME=SHARE``, separated by commas."""

    @property
    def metavar(self) -> str:
        """Placeholder of the value in the help text."""
        return "{" + ",".join(self.names) + "}=SHARE[,…]"

    def instance_from_str(self, args: list[str]) -> dict[str, float]:
        """The value for a command-line argument."""
        shares = {}
        for part in args[0].split(","):
            name, _, share = part.partition("=")
            if name.strip() in shares:
                raise UserError(f"{args[0]!r}: {name.strip()} has two shares; give it one.")
            try:
                shares[name.strip()] = float(share)
            except ValueError:
                raise UserError(f"{args[0]!r}: expected NAME=SHARE,NAME=SHARE; {part!r} is not of that form.") from None
        return shares

    def is_instance(self, instance: Any) -> bool:
        """Whether a default value has this type."""
        return isinstance(instance, dict)

    def str_from_instance(self, instance: dict[str, float]) -> list[str]:
        """Command-line form of a default value."""
        return [",".join(f"{name}={share:g}" for name, share in instance.items())]
