"""Dot-product records as headings, facts and tables: one table of terms per block, or of rounded operations.

Of many blocks or steps the first and the last are shown, and those that lose first and most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

from halfsim.accumulators import Accumulator, FusedDotAdd, MatrixUnit
from halfsim.explanation.block_text import block_parts
from halfsim.explanation.dot_steps import Block, Step
from halfsim.explanation.parts import Facts, Heading, Lines, Part, Table
from halfsim.explanation.text import both, cells_of, datum_row, flags_text, or_dash, rounding_text
from halfsim.explanation.values import compact, power, short
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.rounding import as_rounding

if TYPE_CHECKING:
    from halfsim.explanation.dot import DotExplanation
    from halfsim.explanation.values import Datum

__all__ = ["accumulator_text", "dot_parts", "method_text", "operands_text"]

_Item = TypeVar("_Item")

# So many blocks, or steps, are shown in full; of more, so many at either end.
_FEW_BLOCKS, _FEW_ROWS, _ENDS = 4, 32, 8
_NUMBERS = frozenset({"block", "largest", "sum", "step"})


def accumulator_text(row: Accumulator) -> str:
    """Kind, format and rounding of an accumulator."""
    target = row.output if isinstance(row, MatrixUnit) else row.format
    fused = ", fused" if getattr(row, "fused", False) else ""
    return f"{type(row).__name__}{fused}, {target.name}, {rounding_text(as_rounding(row.rounding))}"


def operands_text(a: Sequence[Datum], b: Sequence[Datum], c: Datum) -> str:
    """What is summed: how many products of which format, and the addend's."""
    formats = " and ".join(dict.fromkeys(factor.format for factor in (*a[:1], *b[:1])))
    return f"d = c + sum of a[k]*b[k], {len(a)} product(s){' of ' if formats else ''}{formats}, c in {c.format}"


def dot_parts(steps: DotExplanation, everything: bool = False) -> Iterable[Part]:
    """Parts of a `DotExplanation`; all rows with `everything`.

    Yields
    ------
    Part
        From the accumulator to the result.
    """
    row = steps.accumulator
    lines = [f"{operands_text(steps.a, steps.b, steps.c)}, d in {steps.result.format}", accumulator_text(row)]
    if isinstance(row, MatrixUnit):
        lines.append(f"blocks of {row.terms}, {method_text(row)}")
    yield Lines(tuple(lines))
    if steps.steps:
        yield _table_of_steps(steps.steps, everything)
    if steps.blocks:
        yield from _blocks(steps, everything)
    yield Heading("result")
    yield Facts(tuple(_outcome(steps)))


def method_text(row: MatrixUnit) -> str:
    """How a block is summed."""
    match row:
        case FusedDotAdd():
            cut = rounding_text(as_rounding(row.align))
            return f"{row.fraction_bits} fraction bits below the largest exponent, terms cut by {cut}"
        case ExactDotAdd():
            return "summed exactly and rounded once"
        case PairwiseDotAdd():
            flushed = row.environment.flush_inputs, row.environment.flush_results
            which = " and ".join(name for name, yes in zip(("inputs", "results"), flushed, strict=True) if yes)
            flushes = f"; subnormal {which} are flushed" if which else ""
            return f"products and a tree of sums rounded each, C added last{flushes}"
        case TwoStageDotAdd():
            cuts = rounding_text(as_rounding(row.align)), rounding_text(as_rounding(row.join))
            return (
                f"products cut by {cuts[0]} to {row.term_bits} fraction bits below the largest; by {cuts[1]} their sum "
                f"to {row.product_bits} and C to {row.addend_bits}, and the total to {row.total_bits}"
            )


def _outcome(steps: DotExplanation) -> Iterable[tuple[str, str]]:
    yield "d", "  ".join(datum_row(steps.result)[1:])
    yield "exact", both(steps.exact) if steps.exact is not None else "none: an infinity or a NaN takes part"
    if steps.error is not None:
        ulps = "" if not steps.error or steps.ulps is None else f", {short(steps.ulps)} ulp"
        yield "error", both(steps.error) + ulps if steps.error else "none"
    if steps.flags is not None:
        yield "flags", flags_text(steps.flags) or "none"


def _blocks(steps: DotExplanation, everything: bool) -> Iterable[Part]:
    found = steps.blocks
    detailed: Sequence[Block] = found
    if len(found) > _FEW_BLOCKS:
        yield Heading(f"{len(found)} blocks, {sum(block.loses for block in found)} of them lose something")
        yield _table_of_blocks(found, everything)
        if not everything:
            detailed = [found[i] for i in sorted({0, *_worst(found), len(found) - 1})]
    for block in detailed:
        yield from block_parts(block, steps, everything)
    left = len(steps.a) - 1 - found[-1].last
    if left:
        yield Facts((("rest", f"a NaN ends the sum: {left} more product(s) cannot change it"),))


def _worst(items: Sequence[Block | Step]) -> list[int]:
    """Positions of the first item that loses something, and of the one that loses most."""
    losing = [i for i, item in enumerate(items) if item.loses]
    return [losing[0], max(losing, key=lambda i: abs(_error(items[i]) or Fraction(0)))] if losing else []


def _error(item: Block | Step) -> Fraction | None:
    """What a block or a step adds to the error: its result minus what an exact one would be; None if not finite."""
    cut = Fraction(0) if isinstance(item, Step) else item.cut
    return None if item.rounding_error is None or cut is None else item.rounding_error - cut


def _chosen(items: Sequence[Block | Step], everything: bool) -> list[int]:
    """Positions of the rows to show."""
    count = len(items)
    if everything or count <= _FEW_ROWS:
        return list(range(count))
    return sorted({*range(_ENDS), *_worst(items), *range(count - _ENDS, count)})


def _with_gaps(
    items: Sequence[_Item], chosen: list[int], row: Callable[[_Item], tuple[str, ...]], what: str
) -> Iterable[tuple[str, ...]]:
    """Rows of the chosen items, and a row that counts those left out between them.

    Yields
    ------
    tuple of str
        Cells.
    """
    before = -1
    for position in chosen:
        cells = row(items[position])
        if position > before + 1:
            yield ("...", f"{position - before - 1} {what}", *[""] * (len(cells) - 2))
        yield cells
        before = position


def _table_of_blocks(found: Sequence[Block], everything: bool) -> Table:
    chosen = _chosen(found, everything)
    head = ("block", "products", "largest", "sum", "d", "", "error of the block")

    def row(block: Block) -> tuple[str, ...]:
        added = _error(block)
        error = short(added) if added is not None else "overflow" if block.loses else "-"
        span = f"{block.first} to {block.last}"
        total = compact(block.total * power(block.unit)) if block.cut is not None else "-"
        return (str(block.number), span, or_dash(block.largest_exponent), total, *cells_of(block.result), error)

    return Table(head, tuple(_with_gaps(found, chosen, row, "more")), _NUMBERS, below=frozenset({2, 5}))


def _table_of_steps(found: Sequence[Step], everything: bool) -> Table:
    chosen = _chosen(found, everything)
    head = ("step", "operation", "exact", "rounded to", "", "direction", "error", "flags")
    rows = tuple(_with_gaps(found, chosen, _step_row, "more"))
    marked = frozenset(i for i, row in enumerate(rows) if row[-2])
    return Table(head, rows, _NUMBERS, marked, frozenset({2, 4, 6}))


def _step_row(step: Step) -> tuple[str, ...]:
    direction = ""
    if step.decision is not None:
        direction = "exact" if not step.decision.discarded else "up" if step.decision.up else "down"
    elif step.rounding_error:
        direction = "flushed"
    exact = "-" if step.exact is None else step.exact.hexadecimal
    name = "sum" if step.operation == "finish_exact" else step.operation
    operands = f"({', '.join(operand.pattern for operand in step.operands)})" if step.operands else ""
    error = short(step.rounding_error) if step.rounding_error else ""
    flags = "" if step.flags is None else flags_text(step.flags)
    return str(step.number), name + operands, exact, *cells_of(step.result), direction, error, flags
