"""Blocks of matrix units, read off a watched loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from halfsim.accumulators import FusedDotAdd, MatrixUnit
from halfsim.core.dot import NO_EXPONENT, Status
from halfsim.explanation.dot_steps import Block, Stage, Term
from halfsim.explanation.steps import decision, exact, rounding_site
from halfsim.explanation.values import Datum, datum, dyadic, power
from halfsim.explanation.watch import Call
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd

__all__ = ["LOOPS", "blocks"]

# The loop of each kind of block, and the call that ends a block.
LOOPS = {"fused_dot_add": "finish_block", "exact_dot_add": "round_limbs", "two_stage_dot_add": "finish_stages"}
_SPECIAL = Status.nan | Status.plusInfinity | Status.minusInfinity

# What the core makes of an operand: status, sign, exponent, significand.
_Given = tuple[int, int, int, int]


def blocks(call: Call, row: MatrixUnit) -> tuple[Block, ...]:
    """Cut the calls of the loop into blocks: each begins with the addend and ends with the result."""
    found: list[Block] = []
    part: list[Call] = []
    for name, end in LOOPS.items():
        for step in (below for loop in call.find(name) for below in loop.calls):
            part = [step] if step.name == "addend" else [*part, step]
            if step.name == end:
                found.append(_block(part, len(found), row))
    return tuple(found)


def _block(part: list[Call], number: int, row: MatrixUnit) -> Block:
    match row:
        case FusedDotAdd():
            return _fused(part, number, row)
        case ExactDotAdd():
            return _exactly(part, number, row)
        case TwoStageDotAdd():
            return _two_stages(part, number, row)
        case PairwiseDotAdd():
            raise TypeError("blocks: PairwiseDotAdd is a chain of rounded operations; ask for its steps")


def _named(part: list[Call], name: str) -> list[Call]:
    return [call for call in part if call.name == name]


def _fused(part: list[Call], number: int, row: FusedDotAdd) -> Block:
    finish, aligned = part[-1], _named(part, "align")
    unit, largest = finish.arguments["unit"], finish.arguments["unit"] + row.fraction_bits
    given = [part[0].result, *(call.result for call in _named(part, "product")[: len(aligned) - 1])]
    exponents = [call.result for call in _named(part, "alignment_exponent")]
    terms = [
        _term(k, _from(number, row, k), value, unit, aligned[i].result, (exponents[i], largest))
        for i, (k, value) in enumerate(zip(_indices(number, row, len(given) - 1), given, strict=True))
    ]
    return _finished(part, number, row, terms, largest=largest, unit=unit, total=finish.arguments["total"])


def _exactly(part: list[Call], number: int, row: ExactDotAdd) -> Block:
    """Nothing is aligned or cut; the unit is chosen so that every term is a whole number of them."""
    given: list[_Given] = [part[0].result, *(call.result for call in _named(part, "product"))]
    last = [exponent + _last_one(significand) for _, _, exponent, significand in given if significand]
    unit = min(last, default=0)
    terms = []
    for k, value in zip(_indices(number, row, len(given) - 1), given, strict=True):
        units = 0 if value[0] & _SPECIAL else int(dyadic(*value[1:]) / power(unit))
        terms.append(_term(k, _from(number, row, k), value, unit, units, None))
    total = sum(term.units for term in terms)
    return _finished(part, number, row, terms, largest=None, unit=unit, total=total)


def _two_stages(part: list[Call], number: int, row: TwoStageDotAdd) -> Block:
    products, aligned, finish = _named(part, "bounded_product"), _named(part, "align"), part[-1]
    join, cut = _named(part, "join")[0], _named(part, "normalised")[0]
    exponents = [call.result for call in _named(part, "alignment_exponent")]
    common, some = join.arguments["common"], max(exponents[: len(products)]) != NO_EXPONENT
    largest = join.arguments["unit"] + row.term_bits if some else None
    unit = join.arguments["unit"] if some else common - row.product_bits
    terms = [
        _term(k, _from(number, row, k), call.result, unit, aligned[i].result, (exponents[i], largest or 0))
        for i, (k, call) in enumerate(zip(_indices(number, row, len(products))[1:], products, strict=True))
    ]
    total = join.arguments["products"]
    whole = finish.arguments["total"], finish.arguments["unit"]
    before = _value(part[0].result)
    finite = before is not None and all(term.value is not None for term in terms)
    first, second = (call.result for call in join.direct("align"))
    given = cut.arguments["total"], cut.arguments["unit"]
    stages = (
        _stage("sum of products", total * power(unit) if finite else None, common - row.product_bits, first),
        _stage("d" if number else "c", before, common - row.addend_bits, second),
        _stage("total", given[0] * power(given[1]) if finite else None, whole[1], whole[0]),
    )
    return _finished(part, number, row, terms, largest=largest, unit=unit, total=total, stages=stages)


def _stage(name: str, value: Fraction | None, unit: int, units: int) -> Stage:
    lost = None if value is None else value - units * power(unit)
    return Stage(name=name, value=value, unit=unit, units=units, lost=lost)


def _indices(number: int, row: MatrixUnit, count: int) -> list[int | None]:
    """Indices of the terms: none for the addend, then those of the products."""
    first = number * row.terms
    return [None, *range(first, first + count)]


def _from(number: int, row: MatrixUnit, k: int | None) -> str:
    return f"a[{k}]*b[{k}]" if k is not None else "d" if number else "c"


def _last_one(significand: int) -> int:
    return (significand & -significand).bit_length() - 1


def _value(given: _Given) -> Fraction | None:
    return None if given[0] & _SPECIAL else dyadic(*given[1:])


def _term(k: int | None, name: str, given: _Given, unit: int, units: int, alignment: tuple[int, int] | None) -> Term:
    """Describe a term; `alignment` is its exponent and the largest, None where terms are not aligned."""
    _, _, exponent, significand = given
    value = _value(given)
    digits = significand.bit_length() - _last_one(significand)
    aligned = alignment is not None and alignment[0] != NO_EXPONENT
    return Term(
        name=name,
        k=k,
        significand=significand,
        exponent=exponent,
        value=value,
        alignment=alignment[0] if alignment and aligned else None,
        shift=alignment[1] - alignment[0] if alignment and aligned else None,
        units=units,
        bits_lost=min(max(unit - exponent - _last_one(significand), 0), digits) if significand else 0,
        lost=None if value is None else value - units * power(unit),
    )


def _finished(
    part: list[Call],
    number: int,
    row: MatrixUnit,
    terms: Sequence[Term],
    *,
    largest: int | None,
    unit: int,
    total: int,
    stages: tuple[Stage, ...] = (),
) -> Block:
    """Describe the end of a block: what is rounded, and how."""
    finish = part[-1]
    status = (finish.find("finish_exact") or [finish])[0].arguments["status"]
    site = rounding_site(finish)
    cut = _sum_of([*(term.lost for term in terms), *(stage.lost for stage in stages)])
    kept = total * power(unit) if not stages else stages[-1].units * power(stages[-1].unit)
    value = None if site is None else exact(site, kept)
    result = datum("d", _pattern(finish), row.output)
    count = sum(term.k is not None for term in terms)
    return Block(
        number=number,
        first=number * row.terms,
        last=number * row.terms + count - 1,
        addend=datum("d" if number else "c", part[0].arguments["c"], row.output),
        terms=tuple(terms),
        largest_exponent=largest,
        unit=unit,
        total=total,
        stages=stages,
        cut=cut,
        normalisation=None if largest is None or not kept else _leading(kept) - largest,
        case=_case(status, site, result),
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        rounding_error=None if result.value is None or cut is None else result.value - kept,
        result=result,
    )


def _pattern(finish: Call) -> int:
    return int(finish.result[0] if isinstance(finish.result, tuple) else finish.result)


def _sum_of(parts: Iterable[Fraction | None]) -> Fraction | None:
    """Sum of what is lost, None if one part is."""
    given = list(parts)
    known = [part for part in given if part is not None]
    return sum(known, Fraction(0)) if len(known) == len(given) else None


def _leading(value: Fraction) -> int:
    """Exponent of the leading digit of a binary fraction."""
    return abs(value).numerator.bit_length() - value.denominator.bit_length()


def _case(status: int, site: Call | None, result: Datum) -> str:
    """Say which rule of the block gives the result."""
    if status & Status.nan:
        return "a NaN, or infinity times zero: the canonical NaN"
    if status & Status.plusInfinity and status & Status.minusInfinity:
        return "infinities of both signs: the canonical NaN"
    if status & (Status.plusInfinity | Status.minusInfinity):
        return "an infinite term: that infinity"
    if site is None:
        return f"the sum is zero: {'-' if result.sign else '+'}0"
    if site.direct("overflow_result"):
        return "the sum is rounded once: overflow"
    return "the sum is rounded once"
