"""The table of tensor cores, and the ways to name one of its rows."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from halfsim.accumulators import Accumulator, FusedDotAdd
from halfsim.tensorcores.nvidia import ROWS
from halfsim.tensorcores.tensorcore import TensorCore

__all__ = ["TABLE", "AccumulatorLike", "as_accumulator", "row"]

AccumulatorLike: TypeAlias = "Accumulator | str"


TABLE: tuple[TensorCore, ...] = ROWS
"""Every row; the first of a key and output is its default instruction."""


def _one_of(argument: str, arrived: object, rows: list[TensorCore], known: list[str], function: str) -> None:
    if not rows:
        names = ", ".join(repr(name) for name in dict.fromkeys(known))
        raise ValueError(f"{function}: unknown {argument} {arrived!r}; known are {names}")


def row(gpu: str, output: str = "f32", instruction: str | None = None) -> FusedDotAdd:
    """Return how a GPU's tensor core sums.

    Parameters
    ----------
    gpu : str
        A board (v100, t4, a100, a10, l40s, h100, h200, b200, rtx5090) or a generation (volta, turing, ampere, ada,
        hopper, blackwell, rtx_blackwell).
    output : str
        ``"f32"`` or ``"f16"``, the format of C and D.
    instruction : str, optional
        One of the instructions that the GPU has; by default its largest ``mma.sync`` shape.

    Raises
    ------
    ValueError
        For an unknown key, output or instruction; the message lists the known ones.

    Examples
    --------
    >>> import halfsim as hs
    >>> hopper = hs.tensorcores.row("h100", "f32")
    >>> hopper.terms, hopper.fraction_bits
    (16, 25)
    """
    return _find(gpu, output, instruction, "tensorcores.row")


def _find(gpu: str, output: str, instruction: str | None, function: str) -> FusedDotAdd:
    rows = [entry for entry in TABLE if gpu == entry.generation or gpu in entry.gpus]
    known = [name for entry in TABLE for name in entry.gpus] + [entry.generation for entry in TABLE]
    _one_of("GPU", gpu, rows, known, function)
    known = [entry.output for entry in rows]
    rows = [entry for entry in rows if entry.output == output]
    _one_of(f"output of {gpu}", output, rows, known, function)
    if instruction is not None:
        known = [entry.instruction for entry in rows]
        rows = [entry for entry in rows if entry.instruction == instruction]
        _one_of(f"instruction of {gpu}", instruction, rows, known, function)
    return rows[0].accumulator


@lru_cache(maxsize=256)
def _parse(text: str, function: str) -> FusedDotAdd:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3:
        raise ValueError(
            f"{function}: accumulator={text!r} is not 'GPU:output' or 'GPU:output:instruction', as 'h100:f32' is"
        )
    return _find(parts[0], parts[1], parts[2] if len(parts) == 3 else None, function)


def as_accumulator(accumulator: AccumulatorLike, function: str = "as_accumulator") -> Accumulator:
    """Return the accumulator that a row or its short name stands for.

    Parameters
    ----------
    accumulator : Sequential, Pairwise, Compensated, Exact, a matrix unit or str
        A string names a tensor core: ``"h100:f32"`` or ``"h100:f32:wgmma"``.
    function : str, optional
        Name that errors begin with.

    Raises
    ------
    ValueError
        For a string that names no row.
    TypeError
        For anything else.
    """
    if isinstance(accumulator, str):
        return _parse(accumulator, function)
    if isinstance(accumulator, Accumulator):
        return accumulator
    raise TypeError(
        f"{function}: accumulator={accumulator!r} is a {type(accumulator).__name__}; pass halfsim.FP32, another "
        "accumulator row, or the name of a tensor core such as 'h100:f32'"
    )
