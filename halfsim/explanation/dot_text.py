"""Dot-product records as headings, facts and tables: one table of terms per block, or of rounded operations.

A long record is shown in part: runs of zero or equal products are one line, and of many blocks or steps the first, the
last, and those that lose first and most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

from halfsim.accumulators import Accumulator, FusedDotAdd, MatrixUnit
from halfsim.explanation.dot_steps import Block, Step, Term
from halfsim.explanation.parts import Facts, Heading, Lines, Part, Table
from halfsim.explanation.text import datum_row, decision_facts, flags_text, rounding_text
from halfsim.explanation.values import compact, decimal, hexadecimal, power, short
from halfsim.rounding import as_rounding

if TYPE_CHECKING:
    from halfsim.explanation.dot import DotExplanation
    from halfsim.explanation.values import Datum

__all__ = ["accumulator_text", "both", "dot_parts", "operands_text"]

_Item = TypeVar("_Item")

# So many blocks, or steps, are shown in full; of more, so many at either end.
_FEW_BLOCKS, _FEW_ROWS, _ENDS = 4, 32, 8
# So many zero or equal products in a row become one line.
_RUN = 3
_NUMBERS = frozenset(
    {"k", "exponent", "shift", "units", "bits lost", "lost (units)", "largest", "sum", "block", "step"}
)


def both(value: Fraction | None) -> str:
    """Hexadecimal and decimal form of an exact value."""
    return "-" if value is None else f"{hexadecimal(value)} = {decimal(value)}"


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
    if isinstance(row, FusedDotAdd):
        lines.append(
            f"blocks of {row.terms}, {row.fraction_bits} fraction bits below the largest exponent, terms cut by "
            f"{rounding_text(as_rounding(row.align))}"
        )
    yield Lines(tuple(lines))
    if steps.steps:
        yield _table_of_steps(steps.steps, everything)
    if steps.blocks:
        yield from _blocks(steps, everything)
    yield Heading("result")
    yield Facts(tuple(_outcome(steps)))


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
        yield from _block(block, steps, everything)
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
        return (str(block.number), span, str(block.largest_exponent), total, *_cells(block.result), error)

    return Table(head, tuple(_with_gaps(found, chosen, row, "more")), _NUMBERS, below=frozenset({2, 5}))


def _cells(value: Datum) -> tuple[str, str]:
    return value.pattern, value.decimal if value.value is None else compact(value.value, sign=value.sign)


def _factor(value: Datum) -> str:
    """Pattern and decimal value, cut where it is long."""
    return f"{value.pattern} {value.decimal if value.value is None else short(value.value, value.sign)}"


def _block(block: Block, steps: DotExplanation, everything: bool) -> Iterable[Part]:
    span = f"k = {block.first}" + (f" to {block.last}" if block.last > block.first else "")
    yield Heading(f"block {block.number}, {span}: largest exponent {block.largest_exponent}, unit 2^{block.unit}")
    head = ("k", "a", "b", "exact product", "exponent", "shift", "units", "bits lost", "lost (units)")
    rows: list[tuple[str, ...]] = []
    marked = set()
    for run in _runs(block.terms, steps, everything):
        if run[0].lost:
            marked.add(len(rows))
        rows.append(_term_row(run[0], block, steps))
        if len(run) > 1:
            kind = "equal" if run[0].significand else "zero"
            rows.append((f"...{run[-1].k}", f"{len(run) - 1} more, {kind}", *[""] * (len(head) - 2)))
    total = both(block.total * power(block.unit))
    rows.append(("sum", "", "", compact(block.total * power(block.unit)), "", "", str(block.total), "", ""))
    if block.cut is not None and block.cut:
        rows[-1] = (*rows[-1][:-1], short(block.cut / power(block.unit)))
    yield Table(head, tuple(rows), _NUMBERS, frozenset(marked), frozenset({2, 4, 6, 8}))
    yield Facts(tuple(_block_facts(block, total, "d" if block is steps.blocks[-1] else "carry-out")))


def _block_facts(block: Block, total: str, name: str) -> Iterable[tuple[str, str]]:
    if block.cut is None:
        yield "case", block.case
    else:
        yield "sum", f"{block.total} units of 2^{block.unit} = {total}"
        if block.cut:
            yield "cut", f"the terms lose {both(block.cut)}"
        if block.normalisation is not None:
            yield "normalise", _normalisation(block)
        if block.decision is not None:
            yield from decision_facts(block.decision)
        yield "case", block.case
        if block.rounding_error:
            yield "rounding", f"changes the sum by {both(block.rounding_error)}"
    yield name, "  ".join(datum_row(block.result)[1:])


def _normalisation(block: Block) -> str:
    places = block.normalisation or 0
    where = f"{abs(places)} place(s) {'above' if places > 0 else 'below'}" if places else "at"
    return f"the first digit of the sum weighs 2^{block.largest_exponent + places}, {where} the largest exponent"


def _runs(terms: Sequence[Term], steps: DotExplanation, everything: bool) -> list[list[Term]]:
    """Terms in order, those of equal factors or of zero products together where there are many in a row."""
    groups: list[list[Term]] = []
    for term in terms:
        if groups and not everything and _key(term, steps) == _key(groups[-1][0], steps):
            groups[-1].append(term)
        else:
            groups.append([term])
    return [run for group in groups for run in ([group] if len(group) >= _RUN else [[term] for term in group])]


def _key(term: Term, steps: DotExplanation) -> tuple[object, ...]:
    if term.k is None:
        return (None,)
    if term.value == 0:
        return (0,)
    return steps.a[term.k].bits, steps.b[term.k].bits


def _term_row(term: Term, block: Block, steps: DotExplanation) -> tuple[str, ...]:
    if term.k is None:
        factors = (term.name, _factor(block.addend), "")
    else:
        factors = (str(term.k), _factor(steps.a[term.k]), _factor(steps.b[term.k]))
    value = "-" if term.value is None else compact(term.value)
    exponent, shift = ("-" if number is None else str(number) for number in (term.alignment, term.shift))
    lost = short(term.lost / power(block.unit)) if term.lost else ""
    bits = str(term.bits_lost) if term.bits_lost else ""
    return (*factors, value, exponent, shift, str(term.units), bits, lost)


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
    exact = "-" if step.exact is None else step.exact.hexadecimal
    name = "sum" if step.operation == "finish_exact" else step.operation
    operands = f"({', '.join(operand.pattern for operand in step.operands)})" if step.operands else ""
    error = short(step.rounding_error) if step.rounding_error else ""
    return str(step.number), name + operands, exact, *_cells(step.result), direction, error, flags_text(step.flags)
