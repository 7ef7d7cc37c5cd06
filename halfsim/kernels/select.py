"""Which loop runs: a fast one where it is proved equal to the general one, else none."""

from __future__ import annotations

from collections.abc import Callable

from halfsim.formats import Format

__all__ = ["convert_kernel", "value_kernel"]


def value_kernel(name: str, control: int, flagged: bool) -> Callable[..., None] | None:
    """Return the fast loop of an operation under a control word, or None."""
    return None


def convert_kernel(source: Format, target: Format, control: int) -> Callable[..., None] | None:
    """Return the fast loop of a conversion under a control word, or None."""
    return None
