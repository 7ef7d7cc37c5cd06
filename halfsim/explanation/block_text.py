"""Blocks of matrix units as tables and facts: a row per term, runs of zero or equal products in one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from halfsim.explanation.dot_steps import Block, Term
from halfsim.explanation.parts import Facts, Heading, Part, Table
from halfsim.explanation.text import both, datum_row, decision_facts, or_dash
from halfsim.explanation.values import Datum, compact, power, short

if TYPE_CHECKING:
    from halfsim.explanation.dot import DotExplanation

__all__ = ["block_parts"]

# So many zero or equal products in a row become one line.
_RUN = 3
_NUMBERS = frozenset({"k", "exponent", "shift", "units", "bits lost", "lost (units)"})


def _factor(value: Datum) -> str:
    """Pattern and decimal value, cut where it is long."""
    return f"{value.pattern} {value.decimal if value.value is None else short(value.value, value.sign)}"


def block_parts(block: Block, steps: DotExplanation, everything: bool) -> Iterable[Part]:
    """Parts of one block: its terms, what becomes of their sum, and the result.

    Yields
    ------
    Part
        Heading, tables and facts.
    """
    span = f"k = {block.first}" + (f" to {block.last}" if block.last > block.first else "")
    aligned = "" if block.largest_exponent is None else f"largest exponent {block.largest_exponent}, "
    yield Heading(f"block {block.number}, {span}: {aligned}unit 2^{block.unit}")
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
    rows.append(
        ("sum", "", "", compact(block.total * power(block.unit)), "", "", compact(Fraction(block.total)), "", "")
    )
    if block.cut is not None and block.cut:
        lost = sum((term.lost for term in block.terms if term.lost), Fraction(0))
        rows[-1] = (*rows[-1][:-1], short(lost / power(block.unit)) if lost else "")
    yield Table(head, tuple(rows), _NUMBERS, frozenset(marked), frozenset({2, 4, 6, 8}))
    if block.stages:
        yield _table_of_stages(block)
    yield Facts(tuple(_block_facts(block, total, "d" if block is steps.blocks[-1] else "carry-out")))


def _table_of_stages(block: Block) -> Table:
    head = ("stage", "exact", "unit", "units", "lost (units)")
    rows = []
    for stage in block.stages:
        lost = short(stage.lost / power(stage.unit)) if stage.lost else ""
        value = "-" if stage.value is None else compact(stage.value)
        rows.append((stage.name, value, f"2^{stage.unit}", compact(Fraction(stage.units)), lost))
    return Table(head, tuple(rows), _NUMBERS, frozenset(i for i, stage in enumerate(block.stages) if stage.lost))


def _block_facts(block: Block, total: str, name: str) -> Iterable[tuple[str, str]]:
    if block.cut is None:
        yield "case", block.case
    else:
        if block.stages:
            yield "total", f"{compact(Fraction(block.stages[-1].units))} units of 2^{block.stages[-1].unit}"
        else:
            yield "sum", f"{compact(Fraction(block.total))} units of 2^{block.unit} = {total}"
        if block.cut:
            yield "cut", f"the terms{' and stages' if block.stages else ''} lose {both(block.cut)}"
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
    weight = (block.largest_exponent or 0) + places
    return f"the first digit of the sum weighs 2^{weight}, {where} the largest exponent"


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
    exponent, shift = or_dash(term.alignment), or_dash(term.shift)
    lost = short(term.lost / power(block.unit)) if term.lost else ""
    bits = str(term.bits_lost) if term.bits_lost else ""
    return (*factors, value, exponent, shift, compact(Fraction(term.units)), bits, lost)
