"""The blocks of AMD's matrix units in exact rational arithmetic, from their published descriptions.

Patterns in, pattern out. What is not finite is decided first, as infinities and NaNs add up in any order; the rest is
fractions, one rounding function, and floors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor, trunc
from typing import NamedTuple

from halfsim.formats import BINARY16, BINARY32, Format
from tests.oracles.rational import decode, infinity, round_fraction

__all__ = ["Pair", "Stages", "exact_chain", "pairwise_chain", "two_stage_chain"]

Pair = tuple[Format, Format]
HALVES: Pair = (BINARY16, BINARY16)


def canonical(fmt: Format) -> int:
    return infinity(0, fmt) + (1 << (fmt.precision - 2))


class Terms(NamedTuple):
    products: list[Fraction]
    addend: Fraction
    special: int | None
    """The result where a term is not finite."""


def read(a: Sequence[int], b: Sequence[int], c: int, inputs: Pair, fmt: Format, limit: Fraction | None = None) -> Terms:
    """Decode the terms of a block; products from `limit` on count as infinities."""
    products, infinities, nan = [], set(), False
    for x, y in zip((decode(v, inputs[0]) for v in a), (decode(v, inputs[1]) for v in b), strict=True):
        kinds = {x.kind, y.kind}
        if x.is_nan or y.is_nan or ("infinite" in kinds and (x.is_zero or y.is_zero)):
            nan = True
        elif "infinite" in kinds or (limit is not None and x.magnitude * y.magnitude >= limit):
            infinities.add(x.sign ^ y.sign)
        else:
            products.append(x.value * y.value)
    z = decode(c, fmt)
    if z.is_nan:
        nan = True
    elif z.kind == "infinite":
        infinities.add(z.sign)
    special = None
    if nan or len(infinities) == 2:
        special = canonical(fmt)
    elif infinities:
        special = infinity(infinities.pop(), fmt)
    return Terms(products, Fraction(0) if special is not None else z.value, special)


def _blocks(a: Sequence[int], b: Sequence[int], size: int) -> list[tuple[Sequence[int], Sequence[int]]]:
    return [(a[k : k + size], b[k : k + size]) for k in range(0, len(a), size)]


def _last(total: Fraction, fmt: Format, mode: str, draw: Sequence[int], bits: int) -> int:
    """Round the sum of a block."""
    if draw:
        return round_fraction(total, fmt, "stochastic", random=draw[0], random_bits=bits)[0]
    return round_fraction(total, fmt, mode, zero_sign=int(mode == "rdn"))[0]


def exact_chain(
    a: Sequence[int],
    b: Sequence[int],
    c: int,
    size: int,
    inputs: Pair = HALVES,
    fmt: Format = BINARY32,
    mode: str = "rne",
    draws: Sequence[int] = (),
    bits: int = 0,
) -> int:
    """CDNA1: the products of a block and C summed exactly, one rounding, with a random word per block where given."""
    for number, (x, y) in enumerate(_blocks(a, b, size)):
        terms = read(x, y, c, inputs, fmt)
        if terms.special is not None:
            c = terms.special
        else:
            c = _last(sum(terms.products, terms.addend), fmt, mode, draws[number : number + 1], bits)
    return c


class Number(NamedTuple):
    """A datum of the extended reals with the sign of its zero, as one operation passes it to the next."""

    value: Fraction
    sign: int
    kind: str


NAN = Number(Fraction(0), 0, "nan")


def _number(bits: int, fmt: Format) -> Number:
    datum = decode(bits, fmt)
    if datum.is_nan:
        return NAN
    return Number(datum.value if datum.kind == "finite" else Fraction(0), datum.sign, datum.kind)


def _pattern(x: Number, fmt: Format) -> int:
    if x.kind == "nan":
        return canonical(fmt)
    if x.kind == "infinite":
        return infinity(x.sign, fmt)
    return round_fraction(x.value, fmt, zero_sign=x.sign)[0]


def _rounded(value: Fraction, zero_sign: int, fmt: Format, flush: bool) -> Number:
    """Round to nearest; a subnormal result becomes a zero of its sign where the unit flushes."""
    x = _number(round_fraction(value, fmt, zero_sign=zero_sign)[0], fmt)
    if flush and x.kind == "finite" and abs(x.value) < Fraction(2) ** fmt.emin:
        return Number(Fraction(0), x.sign, "finite")
    return x


def _times(x: Number, y: Number, fmt: Format, flush: bool) -> Number:
    sign = x.sign ^ y.sign
    if "nan" in (x.kind, y.kind):
        return NAN
    if "infinite" in (x.kind, y.kind):
        zero = any(v.kind == "finite" and v.value == 0 for v in (x, y))
        return NAN if zero else Number(Fraction(0), sign, "infinite")
    return _rounded(x.value * y.value, sign, fmt, flush)


def _plus(x: Number, y: Number, fmt: Format, flush: bool) -> Number:
    infinities = {v.sign for v in (x, y) if v.kind == "infinite"}
    if "nan" in (x.kind, y.kind) or len(infinities) == 2:
        return NAN
    if infinities:
        return Number(Fraction(0), infinities.pop(), "infinite")
    # The sum of two zeros is -0 only if both are; an exact cancellation gives +0.
    return _rounded(x.value + y.value, x.sign & y.sign, fmt, flush)


def _read_flushed(bits: int, fmt: Format, flush: bool) -> Number:
    x = _number(bits, fmt)
    if flush and x.kind == "finite" and abs(x.value) < Fraction(2) ** fmt.emin:
        return Number(Fraction(0), 0, "finite")
    return x


def pairwise_chain(
    a: Sequence[int],
    b: Sequence[int],
    c: int,
    size: int,
    depth: int,
    inputs: Pair = HALVES,
    fmt: Format = BINARY32,
    flush_in: bool = True,
    flush_out: bool = True,
) -> int:
    """CDNA2: rounded products, neighbours added level by level, the total added to C; instruction after instruction."""
    for first in range(0, len(a), depth):
        total = _read_flushed(c, fmt, flush_in)
        for x, y in _blocks(a[first : first + depth], b[first : first + depth], size):
            level = [
                _times(_read_flushed(p, inputs[0], flush_in), _read_flushed(q, inputs[1], flush_in), fmt, flush_out)
                for p, q in zip(x, y, strict=True)
            ]
            level += [Number(Fraction(0), 0, "finite")] * (size - len(level))
            while len(level) > 1:
                odd = level[len(level) // 2 * 2 :]
                level = [_plus(p, q, fmt, flush_out) for p, q in zip(level[::2], level[1::2], strict=False)] + odd
            total = _plus(total, level[0], fmt, flush_out)
        c = _pattern(total, fmt)
    return c


class Stages(NamedTuple):
    """The numbers of a sum in two stages."""

    size: int
    term_bits: int
    product_bits: int
    addend_bits: int
    total_bits: int
    later: str = "rdn"


_CUT: dict[str, Callable[[Fraction], int]] = {"rdn": floor, "rtz": trunc}


def _log2(magnitude: Fraction) -> int:
    e = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return e if Fraction(2) ** e <= magnitude else e - 1


def _exponent(bits: int, fmt: Format) -> int:
    return max(_log2(decode(bits, fmt).magnitude), fmt.emin)


def two_stage_chain(
    a: Sequence[int],
    b: Sequence[int],
    c: int,
    stages: Stages,
    inputs: Pair = HALVES,
    fmt: Format = BINARY32,
    draws: Sequence[int] = (),
    bits: int = 0,
) -> int:
    """CDNA3: products truncated below their own maximum and summed; that and C rounded down and added; one rounding."""
    cut = _CUT[stages.later]
    for number, (x, y) in enumerate(_blocks(a, b, stages.size)):
        terms = read(x, y, c, inputs, fmt, Fraction(2) ** (fmt.emax + 1))
        if terms.special is not None:
            c = terms.special
            continue
        exponents = [
            _exponent(p, inputs[0]) + _exponent(q, inputs[1])
            for p, q, product in zip(x, y, terms.products, strict=True)
            if product
        ]
        total = Fraction(0)
        if exponents:
            unit = Fraction(2) ** (max(exponents) - stages.term_bits)
            total = sum(trunc(product / unit) for product in terms.products) * unit
        top = max([*exponents, _exponent(c, fmt) if terms.addend else fmt.emin, fmt.emin])
        first = Fraction(2) ** (top - stages.product_bits)
        second = Fraction(2) ** (top - stages.addend_bits)
        total = cut(total / first) * first + cut(terms.addend / second) * second
        if total:
            last = Fraction(2) ** (max(_log2(abs(total)), fmt.emin) - stages.total_bits)
            total = cut(total / last) * last
        c = _last(total, fmt, "rne", draws[number : number + 1], bits)
    return c
