"""Which loop runs: the fast one where there is one and it accepts the control word, else the general one."""

from __future__ import annotations

from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels.fast import FAST, Fast, accepts

__all__ = ["conversion_loops", "fast_loops"]

# By the formats themselves: a user's format may have any name.
_CONVERSIONS = {
    (BINARY32, BINARY16): "binary32_to_binary16",
    (BINARY64, BINARY16): "binary64_to_binary16",
    (BINARY16, BINARY32): "binary16_to_binary32",
}


def fast_loops(name: str, control: int) -> Fast | None:
    """Return the fast loops of an operation under a control word, or None."""
    return FAST.get(name) if accepts(control) else None


def conversion_loops(source: Format, target: Format, control: int) -> Fast | None:
    """Return the fast loops of a conversion under a control word, or None."""
    return fast_loops(_CONVERSIONS.get((source, target), ""), control)
