"""Configuration fields that are names from a registry, as the command line shows and takes them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from tyro.constructors import PrimitiveConstructorSpec

from vjepa_sim.envs.errors import UserError


class OneOf(PrimitiveConstructorSpec[Any]):
    """Annotates a field that is one name of a registry; help texts and completions list what is registered."""

    nargs = 1
    choices = None
    _action = None

    def __init__(self, names: Iterable[str] | str):
        """
        Args:
            names: a registry, or ``module:name`` of one that is imported only when it is needed.
        """
        object.__setattr__(self, "_names", names)

    @property
    def names(self) -> tuple[str, ...]:
        """All valid names, by now."""
        names = self._names  # type: ignore[attr-defined]
        if isinstance(names, str):
            module, _, name = names.partition(":")
            names = getattr(importlib.import_module(module), name)
        return tuple(names)

    @property
    def metavar(self) -> str:
        """What the help shows."""
        return "{" + ",".join(self.names) + "}"

    def instance_from_str(self, args: list[str]) -> Any:
        """From the command line; the configuration refuses unknown names."""
        return args[0]

    def is_instance(self, instance: Any) -> bool:
        """Whether a default is of this kind."""
        return instance is None or isinstance(instance, str)

    def str_from_instance(self, instance: Any) -> list[str]:
        """A default as on the command line."""
        return [str(instance)]


class SeveralOf(OneOf):
    """Annotates a field that is several names of a registry: with commas between, or ``all``."""

    empty: ClassVar[str] = "none"

    @property
    def metavar(self) -> str:
        """What the help shows."""
        return "{all," + ",".join(self.names) + "}[,…]"

    def instance_from_str(self, args: list[str]) -> tuple[str, ...]:
        """From the command line."""
        return parse_names(args[0], self.names)

    def is_instance(self, instance: Any) -> bool:
        """Whether a default is of this kind."""
        return isinstance(instance, tuple)

    def str_from_instance(self, instance: Sequence[str]) -> list[str]:
        """A default as on the command line."""
        return ["all" if tuple(instance) == self.names else ",".join(instance) or self.empty]


def parse_names(text: str, valid: tuple[str, ...]) -> tuple[str, ...]:
    """``all``, ``none``, or names with commas between.

    Raises:
        UserError: the text names nothing.
    """
    if text == "all":
        return valid
    if text == SeveralOf.empty:
        return ()
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UserError(f"{text!r} names nothing. Give all, or some of: {', '.join(valid)}.")
    return names


class Shares(OneOf):
    """Annotates a field that gives names of a registry a share each: ``NAME=SHARE`` with commas between."""

    @property
    def metavar(self) -> str:
        """What the help shows."""
        return "{" + ",".join(self.names) + "}=SHARE[,…]"

    def instance_from_str(self, args: list[str]) -> dict[str, float]:
        """From the command line."""
        shares = {}
        for part in args[0].split(","):
            name, _, share = part.partition("=")
            try:
                shares[name.strip()] = float(share)
            except ValueError:
                raise UserError(f"{args[0]!r}: expected NAME=SHARE,NAME=SHARE; {part!r} is not of that form.") from None
        return shares

    def is_instance(self, instance: Any) -> bool:
        """Whether a default is of this kind."""
        return isinstance(instance, dict)

    def str_from_instance(self, instance: dict[str, float]) -> list[str]:
        """A default as on the command line."""
        return [",".join(f"{name}={share:g}" for name, share in instance.items())]
