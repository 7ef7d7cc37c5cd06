"""The docstring of an operation: what all of them have in common, written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from halfsim.flags import Flags

__all__ = ["operation_text"]

_COMMON = """
Parameters
----------
{operands}rounding : Rounding, Stochastic or str
    Rounding direction, by default ``"rne"``.{rounding}
environment : Environment
    NaN rule, tininess and flushing, by default `IEEE`.
{options}out : {dtype} array, optional
    Where the result is written; it must have the broadcast shape.
where : bool array, optional
    Elements to compute; elsewhere `out` is left alone (a new result is zero there, its flags 0).
device : str, optional
    ``"cuda"`` computes the same bits on the current CUDA device. Operands may then lie in its memory, and so does the
    result if one does; see `halfsim.device.Gpu`.

Returns
-------
{dtype} array or scalar
    The result; ``{name}.flagged(...)`` returns it with a uint8 array of `Flags` per element.

Raises
------
TypeError
    If an operand has another dtype, `out` or `where` has, or an argument is of another type, unknown, missing or one
    too many.
ValueError
    If shapes do not broadcast, `out` has another shape or is read-only, or the rounding or the device is unknown.
RuntimeError
    If `device` is ``"cuda"`` and no GPU can be used.
"""

_OPTIONS = {"exact": "Whether a result that differs from the operand raises inexact, by default False."}


def operation_text(
    operands: Mapping[str, str],
    *,
    name: str,
    ieee: str,
    clause: str,
    summary: str,
    special: str,
    example: str,
    dtype: np.dtype[Any],
    rounds: bool,
    options: Iterable[str],
    flags: Flags,
) -> str:
    """Return the docstring of an operation whose operands have these names and kinds.

    The other parameters are the fields of `halfsim.operation.Operation`.
    """
    head = f"{name}({', '.join(operands)}, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)"
    common = _COMMON.format(
        name=name,
        operands="".join(f"{x} : {kind} array or scalar\n    Operand, broadcast.\n" for x, kind in operands.items()),
        rounding="" if rounds else " It has no effect here.",
        options="".join(f"{option} : bool\n    {_OPTIONS[option]}\n" for option in options),
        dtype=dtype,
    )
    raised = ", ".join(str(flag.name) for flag in flags) or "none"
    notes = f"Notes\n-----\n{ieee}, {clause}. {special}".rstrip() + f" Flags: {raised}."
    examples = f"Examples\n--------\n>>> import numpy as np, halfsim as hs\n{example}\n"
    return f"{head}\n\n{summary}\n{common}\n{notes}\n\n{examples}"
