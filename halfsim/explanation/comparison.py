"""`compare_dot`: one dot product, summed by several accumulators, beside its exact value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from halfsim.accumulators import Accumulator
from halfsim.arguments import tells_its_arguments
from halfsim.explanation.dot import DotExplanation, explained
from halfsim.explanation.dot_text import accumulator_text, operands_text
from halfsim.explanation.parts import Facts, Lines, Part, Table
from halfsim.explanation.text import both, flags_text
from halfsim.explanation.values import Datum, Printed, Record, compact, short
from halfsim.flags import Flags
from halfsim.tensorcores import SUMS, AccumulatorLike

__all__ = ["ComparedDot", "DotComparison", "FirstLoss", "compare_dot", "comparison"]

_NUMBERS = frozenset({"error", "ulp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLoss(Record):
    """The first block or step whose result is not what an exact one would be.

    Parameters
    ----------
    number : int
        Which block or step.
    in_block : bool
        Whether it is a block.
    where : str
        The term that is cut first, the stage, the operation that is rounded, or the sum of the block.
    lost : Fraction or None
        Exact value minus what is kept; None for an overflow.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> compared = hs.compare_dot(np.float16([2048, 1]), np.float16([1, 1]), accumulators=[hs.FP16])
    >>> compared.rows[0].first_loss
    FirstLoss(number=1, in_block=False, where='fma', lost=Fraction(1, 1))
    """

    number: int
    in_block: bool
    where: str
    lost: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedDot(Record):
    """What one accumulator made of a dot product.

    Parameters
    ----------
    name : str
        Name of the accumulator as given, or a description.
    accumulator : accumulator row
        How it was summed.
    result : Datum
        The result, with its format.
    error : Fraction or None
        Result minus exact value; None where either is not finite.
    ulps : Fraction or None
        The error in ulps of the result's format at the exact value.
    flags : Flags or None
        Flags of all roundings; None for matrix units.
    blocks, steps : int
        Blocks of a matrix unit; rounded operations.
    first_loss : FirstLoss or None
        Where something is lost first; None if nothing is.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> compared = hs.compare_dot(np.float16([2048, 1]), np.float16([1, 1]), accumulators=["fp16", "h100:f16"])
    >>> [(row.name, row.result.decimal, row.steps, row.blocks) for row in compared.rows]
    [('fp16', '2048', 2, 0), ('h100:f16', '2048', 0, 1)]
    """

    name: str
    accumulator: Accumulator
    result: Datum
    error: Fraction | None
    ulps: Fraction | None
    flags: Flags | None
    blocks: int
    steps: int
    first_loss: FirstLoss | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DotComparison(Printed):
    """One dot product under several accumulators; printable, with `to_dict`, `to_json` and `to_markdown`.

    Parameters
    ----------
    a, b : tuple of Datum
        The factors.
    c : Datum
        The addend, in the format in which it was given.
    exact : Fraction or None
        The dot product without any rounding; None beside infinities and NaNs.
    rows : tuple of ComparedDot
        One for each accumulator, in the order given.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    >>> compared = hs.compare_dot(a, b, accumulators=["a100:f32", "h100:f32"])
    >>> compared.exact, min(compared.rows, key=lambda row: abs(row.error)).name
    (Fraction(1, 4), 'h100:f32')
    """

    a: tuple[Datum, ...]
    b: tuple[Datum, ...]
    c: Datum
    exact: Fraction | None
    rows: tuple[ComparedDot, ...]

    def parts(self, everything: bool = False) -> Iterable[Part]:
        """Return headings, facts and tables, in order.

        Parameters
        ----------
        everything : bool
            Whether to give all rows of long tables.

        Yields
        ------
        Part
            The operands, the exact value, and the table.
        """
        yield Lines((operands_text(self.a, self.b, self.c),))
        none = "none: an infinity or a NaN takes part"
        yield Facts((("exact", none if self.exact is None else both(self.exact)),))
        head = ("accumulator", "format", "d", "value", "error", "ulp", "flags", "summed in", "first loss")
        marked = frozenset(i for i, row in enumerate(self.rows) if row.error != 0)
        yield Table(head, tuple(_cells(row) for row in self.rows), _NUMBERS, marked, frozenset({1, 3, 5, 7}))


@tells_its_arguments
def compare_dot(a: Any, b: Any, c: Any = None, *, accumulators: Sequence[AccumulatorLike]) -> DotComparison:
    """Sum one dot product ``c + sum(a * b)`` by several accumulators, beside the exact value.

    Parameters
    ----------
    a, b : float16 arrays, shape (K,)
        The factors, as `halfsim.dot` takes them.
    c : float16 or float32 scalar, optional
        The addend, by default +0. Each accumulator takes it as `halfsim.dot` does: one whose format does not hold it
        rounds it first, and that rounding counts in its error; `Exact` takes it as it is.
    accumulators : sequence of accumulator row or str
        As in `halfsim.dot`, for example ``["a100:f32", "h100:f32", halfsim.FP16]``.

    Returns
    -------
    DotComparison
        Result, error and first loss of each; ``print`` it, or call ``to_dict()``, ``to_json()`` or ``to_markdown()``.

    Raises
    ------
    TypeError, ValueError
        As `explain_dot`, and when no accumulator is given.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    >>> compared = hs.compare_dot(a, b, accumulators=["a100:f32", "h100:f32", hs.FP32])
    >>> compared.exact, [(row.name, float(row.error)) for row in compared.rows]
    (Fraction(1, 4), [('a100:f32', -0.25), ('h100:f32', 0.0), ('fp32', 0.0)])
    >>> compared.rows[0].first_loss
    FirstLoss(number=0, in_block=True, where='a[2]*b[2]', lost=Fraction(1, 4))
    """
    if isinstance(accumulators, str) or not isinstance(accumulators, Sequence) or not accumulators:
        raise TypeError(
            f"compare_dot: accumulators={accumulators!r} is not a list of accumulators; pass one such as "
            "['a100:f32', 'h100:f32', halfsim.FP32]"
        )
    every = [explained("compare_dot", a, b, c, accumulator) for accumulator in accumulators]
    return comparison(accumulators, every)


def comparison(accumulators: Sequence[AccumulatorLike], every: Sequence[DotExplanation]) -> DotComparison:
    """Put explanations of one dot product side by side, one for each accumulator."""
    rows = tuple(_compared(name, steps) for name, steps in zip(accumulators, every, strict=True))
    return DotComparison(a=every[0].a, b=every[0].b, c=every[0].c, exact=every[0].exact, rows=rows)


def _compared(name: AccumulatorLike, steps: DotExplanation) -> ComparedDot:
    return ComparedDot(
        name=name if isinstance(name, str) else _name(name),
        accumulator=steps.accumulator,
        result=steps.result,
        error=steps.error,
        ulps=steps.ulps,
        flags=steps.flags,
        blocks=len(steps.blocks),
        steps=len(steps.steps),
        first_loss=_first_loss(steps),
    )


def _name(row: Accumulator) -> str:
    return next((name for name, known in SUMS.items() if known == row), accumulator_text(row))


def _first_loss(steps: DotExplanation) -> FirstLoss | None:
    """Steps come first: beside blocks, they are the conversion of C."""
    for step in steps.steps:
        if step.loses:
            lost = None if step.rounding_error is None else -step.rounding_error
            name = "sum" if step.operation == "finish_exact" else step.operation
            return FirstLoss(number=step.number, in_block=False, where=name, lost=lost)
    for block in steps.blocks:
        if not block.loses:
            continue
        parts = [(part.name, part.lost) for part in block.terms] + [(part.name, part.lost) for part in block.stages]
        for name, lost in parts:
            if lost:
                return FirstLoss(number=block.number, in_block=True, where=name, lost=lost)
        lost = None if block.rounding_error is None else -block.rounding_error
        return FirstLoss(number=block.number, in_block=True, where="sum", lost=lost)
    return None


def _cells(row: ComparedDot) -> tuple[str, ...]:
    value = row.result.decimal if row.result.value is None else compact(row.result.value, row.result.sign)
    error, ulps = ("-" if number is None else short(number) for number in (row.error, row.ulps))
    flags = "-" if row.flags is None else flags_text(row.flags) or "none"
    count, kind = (row.blocks, "block") if row.blocks else (row.steps, "step")
    summed = f"{count} {kind}{'' if count == 1 else 's'}"
    return (row.name, row.result.format, row.result.pattern, value, error, ulps, flags, summed, _loss_text(row))


def _loss_text(row: ComparedDot) -> str:
    if row.first_loss is None:
        return "none"
    loss = row.first_loss
    what = "overflow" if loss.lost is None else f"loses {short(loss.lost)}"
    return f"{'block' if loss.in_block else 'step'} {loss.number}: {loss.where} {what}"
