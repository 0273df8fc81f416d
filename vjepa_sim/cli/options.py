"""Options that several verbs take."""

from __future__ import annotations

from envs.errors import UserError


def choose(text: str, valid: tuple[str, ...]) -> tuple[str, ...]:
    """``all``, or names with commas between; the configuration refuses an unknown one."""
    if not text.strip(" ,"):
        raise UserError(f"{text!r} names nothing. Give all, or some of: {', '.join(valid)}.")
    return valid if text == "all" else names_in(text)


def names_in(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UserError(f"{text!r} names nothing; give names with commas between.")
    return names


def set_threads(threads: int) -> None:
    """Hold PyTorch to so many threads; 0 leaves the choice to it."""
    import torch

    if threads < 0:
        raise UserError(f"--threads {threads}: give a positive number, or 0 to leave the choice to PyTorch.")
    if threads:
        torch.set_num_threads(threads)
