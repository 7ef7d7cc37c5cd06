"""The steps of dot products, read off a watched loop: blocks of matrix units, chains of rounded operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from halfsim.accumulators import FusedDotAdd
from halfsim.core.dot import NO_EXPONENT, Status
from halfsim.core.fields import Layout, layout
from halfsim.explanation.steps import Decision, Exact, decision, exact, rounding_site
from halfsim.explanation.values import Datum, Record, datum, dyadic, power
from halfsim.explanation.watch import Call
from halfsim.flags import Flags
from halfsim.formats import Format

__all__ = ["Block", "Step", "Term", "blocks", "chain"]

# Exact results of the operations that chains are made of, of the values of their operands.
_DEFINITIONS: dict[str, Callable[..., Fraction]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
    "convert": lambda a: a,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term(Record):
    """One term of a block: exact, then cut to whole units."""

    name: str
    k: int | None
    """Which product; None for the addend."""
    significand: int
    """Of the exact product, not normalised; 0 for infinities and NaNs."""
    exponent: int
    """Power of two that the last digit of the significand weighs."""
    value: Fraction | None
    """Exact value; None for infinities and NaNs."""
    alignment: int | None
    """Exponent that counts for the alignment; None for a zero."""
    shift: int | None
    """Places by which the term is moved right: the largest exponent minus its own; None for a zero."""
    units: int
    """The term in units of the block, cut."""
    bits_lost: int
    """Digits of the significand, from its first to its last 1, that lie below the unit."""
    lost: Fraction | None
    """Exact value minus what the units are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Record):
    """One block of a matrix unit."""

    number: int
    first: int
    last: int
    """The block sums the products `first` to `last`, inclusive."""
    addend: Datum
    """What the block begins with: C, or the result of the block before."""
    terms: tuple[Term, ...]
    largest_exponent: int
    """Largest alignment exponent of the terms, and of the row's `zero_exponent`."""
    unit: int
    """Power of two that a unit weighs."""
    total: int
    """Sum of the terms, in units."""
    cut: Fraction | None
    """What all terms together lost; None beside infinities and NaNs."""
    normalisation: int | None
    """Places from the largest exponent up to the leading digit of the sum, negative downward; None for a zero sum."""
    case: str
    exact: Exact | None
    """What the final rounding gets."""
    decision: Decision | None
    rounding_error: Fraction | None
    """Result minus sum; None where the result is not finite."""
    result: Datum
    """What the next block begins with."""

    @property
    def loses(self) -> bool:
        """Whether a term is cut or the sum is rounded."""
        # Beside infinities and NaNs finite terms do not count; a finite sum without a finite result overflowed.
        return self.cut is not None and (self.rounding_error != 0 or any(term.lost for term in self.terms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Record):
    """One rounded operation of a chain."""

    number: int
    operation: str
    operands: tuple[Datum, ...]
    exact: Exact | None
    decision: Decision | None
    rounding_error: Fraction | None
    """Result minus exact value; None where either is not finite."""
    result: Datum
    flags: Flags

    @property
    def loses(self) -> bool:
        """Whether the result differs from the exact value."""
        return bool(self.rounding_error) or Flags.overflow in self.flags


def blocks(call: Call, row: FusedDotAdd) -> tuple[Block, ...]:
    """Cut the calls of the loop into blocks: each begins with the addend and ends with `finish_block`."""
    found: list[Block] = []
    part: list[Call] = []
    for step in (call for loop in call.find("fused_dot_add") for call in loop.calls):
        part = [step] if step.name == "addend" else [*part, step]
        if step.name == "finish_block":
            first = len(found) * row.terms
            found.append(_block(part, len(found), first, row))
    return tuple(found)


def _block(part: list[Call], number: int, first: int, row: FusedDotAdd) -> Block:
    named = {name: [call for call in part if call.name == name] for name in ("align", "alignment_exponent", "product")}
    finish = part[-1]
    unit, total = finish.arguments["unit"], finish.arguments["total"]
    largest = unit + row.fraction_bits
    count = len(named["align"]) - 1
    indices = [None, *range(first, first + count)]
    exponents = [call.result for call in named["alignment_exponent"]]
    given = [part[0].result, *(call.result for call in named["product"][:count])]
    terms = tuple(
        _term(number, *of_term, unit, largest)
        for of_term in zip(indices, given, exponents, named["align"], strict=True)
    )
    lost = [term.lost for term in terms if term.lost is not None]
    result = datum("d", finish.result, row.output)
    site = rounding_site(finish)
    value = None if site is None else exact(site, None)
    return Block(
        number=number,
        first=first,
        last=first + count - 1,
        addend=datum("d" if number else "c", part[0].arguments["c"], row.output),
        terms=terms,
        largest_exponent=largest,
        unit=unit,
        total=total,
        cut=sum(lost, Fraction(0)) if len(lost) == len(terms) else None,
        normalisation=abs(total).bit_length() - 1 - row.fraction_bits if total else None,
        case=_case(finish, site),
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        rounding_error=None if result.value is None else result.value - total * power(unit),
        result=result,
    )


def _term(
    block: int,
    k: int | None,
    given: tuple[int, int, int, int],
    alignment: int,
    aligned: Call,
    unit: int,
    largest: int,
) -> Term:
    status, sign, exponent, significand = given
    special = status & (Status.nan | Status.plusInfinity | Status.minusInfinity)
    value = None if special else dyadic(sign, exponent, significand)
    last_one = (significand & -significand).bit_length() - 1
    digits = significand.bit_length() - last_one
    zero = alignment == NO_EXPONENT
    return Term(
        name=f"a[{k}]*b[{k}]" if k is not None else "d" if block else "c",
        k=k,
        significand=significand,
        exponent=exponent,
        value=value,
        alignment=None if zero else alignment,
        shift=None if zero else largest - alignment,
        units=aligned.result,
        bits_lost=0 if zero else min(max(unit - exponent - last_one, 0), digits),
        lost=None if value is None else value - aligned.result * power(unit),
    )


def _case(finish: Call, site: Call | None) -> str:
    """Say which rule of the block gives the result."""
    status = finish.arguments["status"]
    if status & Status.nan:
        return "a NaN, or infinity times zero: the canonical NaN"
    if status & Status.plusInfinity and status & Status.minusInfinity:
        return "infinities of both signs: the canonical NaN"
    if status & (Status.plusInfinity | Status.minusInfinity):
        return "an infinite term: that infinity"
    if site is None:
        return "the units cancel: +0"
    if site.direct("overflow_result"):
        return "the sum is rounded once: overflow"
    return "the sum is rounded once"


def chain(call: Call, formats: tuple[Format, ...], true: Fraction | None) -> tuple[Step, ...]:
    """Rounded operations in order."""
    layouts = {layout(fmt): fmt for fmt in formats}
    # A conversion from the accumulator's own format only changes the container.
    own = layout(formats[-1])
    rounded = [step for step in _outermost(call) if step.name != "convert" or step.arguments["fields"] != own]
    return tuple(_step(number, step, layouts, true) for number, step in enumerate(rounded))


def _outermost(call: Call) -> list[Call]:
    """Outermost calls of operations that round."""
    if call.name in (*_DEFINITIONS, "finish_exact") and "control" in call.arguments:
        return [call]
    return [step for below in call.calls for step in _outermost(below)]


def _step(number: int, step: Call, layouts: dict[Layout, Format], true: Fraction | None) -> Step:
    given = step.arguments
    fields = given["fields"]
    # The format of the result is `to` where there is one; fma reads its third operand in it.
    target = layouts[given.get("to", fields)]
    source = target if step.name == "finish_exact" else layouts[fields]
    formats = {"a": source, "b": source, "c": target, "bits": source}
    operands = tuple(
        datum(n, given[n], fmt) for n, fmt in formats.items() if n in given and step.name != "finish_exact"
    )
    values = [operand.value for operand in operands]
    site = rounding_site(step)
    value = None
    if site is not None:
        defined = true if step.name == "finish_exact" else _DEFINITIONS[step.name](*values)
        value = exact(site, defined)
    bits, flags = step.result
    result = datum("result", bits, target)
    both = value is not None and value.value is not None and result.value is not None
    return Step(
        number=number,
        operation=step.name,
        operands=operands,
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        rounding_error=result.value - value.value if both else None,  # type: ignore[operator, union-attr]
        result=result,
        flags=Flags(flags),
    )
