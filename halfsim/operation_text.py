"""The docstrings of elementwise operations, which have most of their words in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halfsim.operation import Operation

__all__ = ["docstring"]

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
    If an operand is not float16.
ValueError
    If shapes do not broadcast, or the rounding is unknown.
"""
_OPTIONS = {"exact": "Whether a result that differs from the operand raises inexact, by default False."}


def docstring(operation: Operation, names: tuple[str, ...]) -> str:
    """Return the docstring of an operation whose operands have these names."""
    operands = "".join(
        f"{x} : {'integer' if i == operation.integers else 'float16'} array or scalar\n    Operand, broadcast.\n"
        for i, x in enumerate(names)
    )
    head = (
        f"{operation.name}({', '.join(names)}, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)"
    )
    common = _COMMON.format(
        name=operation.name,
        operands=operands,
        rounding="" if operation.rounds else " It has no effect here.",
        options="".join(f"{option} : bool\n    {_OPTIONS[option]}\n" for option in operation.options),
        dtype=operation.dtype,
    )
    raised = ", ".join(str(flag.name) for flag in operation.flags) or "none"
    notes = f"Notes\n-----\n{operation.ieee}, {operation.clause}. {operation.special}".rstrip() + f" Flags: {raised}."
    example = f"Examples\n--------\n>>> import numpy as np, halfsim as hs\n{operation.example}\n"
    return f"{head}\n\n{operation.summary}\n{common}\n{notes}\n\n{example}"
