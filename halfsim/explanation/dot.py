"""`explain_dot`: every step of one dot product, as a tensor core's blocks or as a chain of rounded operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import Accumulator, MatrixUnit, factor_formats
from halfsim.arguments import tells_its_arguments
from halfsim.explanation.dot_blocks import blocks
from halfsim.explanation.dot_chain import chain
from halfsim.explanation.dot_steps import Block, Step
from halfsim.explanation.dot_text import dot_parts
from halfsim.explanation.parts import Part
from halfsim.explanation.values import Datum, Printed, datum, ulp
from halfsim.explanation.watch import Call, plain, watch
from halfsim.factors import factor
from halfsim.flags import Flags
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import product
from halfsim.kernels.product import Plan
from halfsim.kernels.storage import Operands
from halfsim.tensorcores import AccumulatorLike, as_accumulator

__all__ = ["DotExplanation", "explain_dot", "explained"]

_ONLY = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DotExplanation(Printed):
    """Every step of one dot product; printable, and serialisable with `to_dict`, `to_json` and `to_markdown`.

    ``print`` shows a long one in part: runs of zero or equal products as one line, of many blocks or steps the first,
    the last, and those that lose first and most. ``to_text(everything=True)`` shows all.

    Parameters
    ----------
    accumulator : accumulator row
        How it was summed.
    a, b : tuple of Datum
        The factors.
    c : Datum
        The addend.
    exact : Fraction or None
        The dot product without any rounding; None beside infinities and NaNs.
    blocks : tuple of Block
        Blocks of a matrix unit; empty for a `PairwiseDotAdd`, whose blocks are chains of rounded operations, and for
        the other accumulators.
    steps : tuple of Step
        Rounded operations in order; beside blocks, the conversion of C to their format, where that differs.
    result : Datum
        The result.
    error : Fraction or None
        Result minus exact value; None where either is not finite.
    ulps : Fraction or None
        The error in ulps of the result's format at the exact value.
    flags : Flags or None
        Flags of all roundings together; None for matrix units, which have none.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> steps = hs.explain_dot(np.float16([2048, 1]), np.float16([1, 1]), accumulator=hs.FP16)
    >>> steps.exact, steps.result.decimal, steps.ulps, steps.flags
    (Fraction(2049, 1), '2048', Fraction(-1, 2), <Flags.inexact: 1>)
    """

    accumulator: Accumulator
    a: tuple[Datum, ...]
    b: tuple[Datum, ...]
    c: Datum
    exact: Fraction | None
    blocks: tuple[Block, ...]
    steps: tuple[Step, ...]
    result: Datum
    error: Fraction | None
    ulps: Fraction | None
    flags: Flags | None

    def parts(self, everything: bool = False) -> Iterable[Part]:
        """Return headings, facts and tables, in order; all rows of long tables with `everything`.

        Parameters
        ----------
        everything : bool
            Whether to give all rows of long tables.
        """
        return dot_parts(self, everything)


@tells_its_arguments
def explain_dot(a: Any, b: Any, c: Any = None, *, accumulator: AccumulatorLike) -> DotExplanation:
    """Show every step of one dot product ``c + sum(a * b)``.

    Of a matrix unit: each block's largest exponent, each term's alignment and what it loses, the integer sum, the
    later cuts of a `TwoStageDotAdd`, the final rounding, and what goes on to the next block. Of the other accumulators
    and of `PairwiseDotAdd`: each rounded operation. The core itself is run, in plain Python, and watched.

    Parameters
    ----------
    a, b : float16 arrays, shape (K,)
        The factors; of a matrix unit with other inputs, arrays that `halfsim.dot` takes.
    c : float16 or float32 scalar, optional
        The addend, by default +0.
    accumulator : accumulator row or str
        As in `halfsim.matmul`, for example ``"h100:f32"``.

    Returns
    -------
    DotExplanation
        The record; ``print`` it, or call ``to_dict()`` or ``to_json()``.

    Raises
    ------
    TypeError, ValueError
        For operands of other types or shapes, and unknown accumulators.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    >>> block = hs.explain_dot(a, b, accumulator="a100:f32").blocks[0]
    >>> block.largest_exponent, [(term.name, term.units) for term in block.terms[1:]]
    (23, [('a[0]*b[0]', 16777216), ('a[1]*b[1]', -16777216), ('a[2]*b[2]', 0)])
    >>> float(block.terms[3].lost)
    0.25
    """
    return explained("explain_dot", a, b, c, accumulator)


def explained(function: str, a: Any, b: Any, c: Any, accumulator: AccumulatorLike) -> DotExplanation:
    """Explain one dot product; errors begin with the name of the function that was called."""
    row = as_accumulator(accumulator, function)
    x, y = (
        factor(function, name, value, position, row, accumulator)
        for position, (name, value) in enumerate((("a", a), ("b", b)))
    )
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{function}: a {x.shape} and b {y.shape} must be vectors of one length")
    chosen = product.plan(row)
    array, addend, source = _addend(function, c, chosen)
    call, bits, flags = _run(chosen, x, y, array)
    formats = factor_formats(row)
    factors = _factors("a", x, formats[0]), _factors("b", y, formats[1])
    shown = datum("c", addend, source)
    true = _sum(factors, shown)
    result = datum("d", bits, chosen.storage.format)
    error = None if true is None or result.value is None else result.value - true
    return DotExplanation(
        accumulator=row,
        a=factors[0],
        b=factors[1],
        c=shown,
        exact=true,
        blocks=blocks(call, row) if isinstance(row, MatrixUnit) else (),
        steps=chain(call, (*formats, source, chosen.format), true, flagged=chosen.has_flags),
        result=result,
        error=error,
        ulps=None if error is None or true is None else error / ulp(true, chosen.format),
        flags=Flags(flags) if chosen.has_flags else None,
    )


def _addend(function: str, c: Any, chosen: Plan) -> tuple[NDArray[Any] | None, int, Format]:
    """Return the addend as the loops take it, its pattern and its format."""
    if c is None:
        return None, 0, BINARY16 if chosen.exact_addend else chosen.format
    array = np.asarray(c)
    if array.dtype.name not in ("float16", "float32") or array.size != 1:
        raise TypeError(f"{function}: c={c!r} is not one float16 or float32 value; round it with halfsim.convert")
    native = np.array([array.reshape(())[()]])
    narrow = native.dtype == np.float16
    return native, int(native.view(np.uint16 if narrow else np.uint32)[0]), BINARY16 if narrow else BINARY32


def _run(chosen: Plan, x: NDArray[Any], y: NDArray[Any], addend: NDArray[Any] | None) -> tuple[Call, int, int]:
    """Watch the general loop on one element: return (record, pattern, flags)."""
    operands = Operands(x.reshape(1, 1, -1), y.reshape(1, -1, 1), _ONLY, _ONLY)
    watched = chosen._replace(general=plain(chosen.general), fast=None)
    call = watch(product.evaluate, watched, operands, addend, True)
    values, flags = call.result
    return call, int(values.view(chosen.storage.patterns).reshape(-1)[0]), int(flags[0])


def _factors(name: str, patterns: NDArray[Any], fmt: Format) -> tuple[Datum, ...]:
    return tuple(datum(f"{name}[{k}]", int(bits), fmt) for k, bits in enumerate(patterns))


def _sum(factors: tuple[tuple[Datum, ...], ...], c: Datum) -> Fraction | None:
    values = [None if p.value is None or q.value is None else p.value * q.value for p, q in zip(*factors, strict=True)]
    finite = [value for value in (*values, c.value) if value is not None]
    return sum(finite, Fraction(0)) if len(finite) == len(values) + 1 else None
