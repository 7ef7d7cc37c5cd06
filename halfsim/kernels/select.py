"""Which loop runs: the fast one where there is one and it accepts the control word, else the general one."""

from __future__ import annotations

from halfsim.formats import Format
from halfsim.kernels.fast import FAST, Fast, accepts

__all__ = ["conversion_loops", "fast_loops"]


def fast_loops(name: str, control: int) -> Fast | None:
    """Return the fast loops of an operation under a control word, or None."""
    return FAST.get(name) if accepts(control) else None


def conversion_loops(source: Format, target: Format, control: int) -> Fast | None:
    """Return the fast loops of a conversion under a control word, or None."""
    return fast_loops(f"{source.name}_to_{target.name}", control)
