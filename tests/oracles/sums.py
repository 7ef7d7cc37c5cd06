"""Dot products in exact rational arithmetic, from the definitions of the accumulators and of the matrix-unit block.

Patterns in, (pattern, flags) out. The block follows the published description (products exact, aligned to the largest
unnormalised exponent, magnitudes cut, one rounding) with fractions instead of shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from halfsim.formats import BINARY16, Format
from tests.oracles import philox
from tests.oracles.rational import (
    MACHINES,
    OVERFLOW,
    Context,
    add,
    convert,
    decode,
    fma,
    multiply,
    round_fraction,
    subtract,
)

__all__ = ["Draws", "Unit", "block_chain", "compensated", "exact", "pairwise", "sequential"]

MACHINE = MACHINES["RISCV"]  # one canonical NaN, tininess after rounding


class Draws:
    """The contexts of one element's roundings, in order."""

    def __init__(self, mode: str = "rne", bits: int = 32, seed: int = 0, index: int = 0) -> None:
        self.mode, self.bits, self.seed, self.index, self.step = mode, bits, seed, index, 0

    def next(self) -> Context:
        random = philox.word(self.seed, self.index, self.step) if self.mode == "stochastic" else 0
        self.step += 1
        return Context(self.mode, MACHINE, random, self.bits)


def _start(c: int, source: Format, fmt: Format, draws: Draws) -> tuple[int, int]:
    if source == fmt:
        return c, 0
    narrower = source.precision > fmt.precision or source.emin < fmt.emin or source.emax > fmt.emax
    return convert(c, source, fmt, draws.next() if narrower else Context("rne", MACHINE))


def sequential(
    a: Sequence[int], b: Sequence[int], c: int, source: Format, fmt: Format, draws: Draws, *, fused: bool
) -> tuple[int, int]:
    total, flags = _start(c, source, fmt, draws)
    for x, y in zip(a, b, strict=True):
        if fused:
            total, more = fma(x, y, total, draws.next(), BINARY16, fmt)
        else:
            term, more = multiply(x, y, draws.next(), BINARY16, fmt)
            total, last = add(total, term, draws.next(), fmt)
            more |= last
        flags |= more
    return total, flags


def pairwise(a: Sequence[int], b: Sequence[int], c: int, source: Format, fmt: Format, draws: Draws) -> tuple[int, int]:
    start, flags = _start(c, source, fmt, draws)
    level = []
    for x, y in zip(a, b, strict=True):
        term, more = multiply(x, y, draws.next(), BINARY16, fmt)
        level.append(term)
        flags |= more
    while len(level) > 1:
        following = []
        for left, right in zip(level[::2], level[1::2], strict=False):
            total, more = add(left, right, draws.next(), fmt)
            following.append(total)
            flags |= more
        level = following + (level[-1:] if len(level) % 2 else [])
    total, more = add(level[0], start, draws.next(), fmt)
    return total, flags | more


def compensated(
    a: Sequence[int], b: Sequence[int], c: int, source: Format, fmt: Format, draws: Draws
) -> tuple[int, int]:
    total, flags = _start(c, source, fmt, draws)
    error = 0
    for x, y in zip(a, b, strict=True):
        term, f1 = multiply(x, y, draws.next(), BINARY16, fmt)
        corrected, f2 = subtract(term, error, draws.next(), fmt)
        new, f3 = add(total, corrected, draws.next(), fmt)
        gained, f4 = subtract(new, total, draws.next(), fmt)
        error, f5 = subtract(gained, corrected, draws.next(), fmt)
        total = new
        flags |= f1 | f2 | f3 | f4 | f5
    return total, flags


class _Terms(NamedTuple):
    values: list[Fraction]
    signs: list[int]
    """Signs of the terms, zeros included."""
    nan: bool
    invalid: bool
    infinities: set[int]


def _terms(
    a: Sequence[int], b: Sequence[int], c: int, source: Format, inputs: tuple[Format, Format] = (BINARY16, BINARY16)
) -> _Terms:
    values, signs, infinities, nan, invalid = [], [], set(), False, False
    data = [(decode(x, inputs[0]), decode(y, inputs[1])) for x, y in zip(a, b, strict=True)]
    for x, y in data:
        if x.is_nan or y.is_nan:
            nan = True
            invalid |= "signaling" in (x.kind, y.kind)
        elif "infinite" in (x.kind, y.kind):
            if x.is_zero or y.is_zero:
                nan = invalid = True
            else:
                infinities.add(x.sign ^ y.sign)
        else:
            values.append(x.value * y.value)
            signs.append(x.sign ^ y.sign)
    z = decode(c, source)
    if z.is_nan:
        nan = True
        invalid |= z.kind == "signaling"
    elif z.kind == "infinite":
        infinities.add(z.sign)
    else:
        values.append(z.value)
        signs.append(z.sign)
    return _Terms(values, signs, nan, invalid, infinities)


def exact(a: Sequence[int], b: Sequence[int], c: int, source: Format, fmt: Format, draws: Draws) -> tuple[int, int]:
    context = draws.next()
    terms = _terms(a, b, c, source)
    top = 1 << (fmt.width - 1)
    infinity = top - (1 << (fmt.precision - 1))
    if terms.nan or len(terms.infinities) == 2:
        return infinity + (1 << (fmt.precision - 2)), 16 if terms.invalid or not terms.nan else 0
    if terms.infinities:
        return infinity + (top if 1 in terms.infinities else 0), 0
    total = sum(terms.values, Fraction(0))
    same = len(set(terms.signs)) == 1 and not any(terms.values)
    zero_sign = terms.signs[0] if same else int(context.mode == "rdn")
    return round_fraction(
        total, fmt, context.mode, zero_sign=zero_sign, random=context.random, random_bits=context.random_bits
    )


class Unit(NamedTuple):
    """The numbers of a matrix unit, and its variants that hardware is not."""

    terms: int
    fraction_bits: int
    zero_exponent: int
    fmt: Format
    mode: str
    cut: str = "rtz"
    inputs: tuple[Format, Format] = (BINARY16, BINARY16)
    addend: Format | None = None
    """Format in which the first C is aligned, where it is not that of the result."""


def _floor_log2(value: Fraction) -> int:
    e = value.numerator.bit_length() - value.denominator.bit_length()
    return e if Fraction(2) ** e <= value else e - 1


def _exponent(magnitude: Fraction, fmt: Format) -> int:
    return max(_floor_log2(magnitude), fmt.emin)


_CUT: dict[str, Callable[[Fraction], int]] = {
    "rtz": int,  # toward zero
    "rdn": lambda x: x.numerator // x.denominator,
    "rne": round,
}


def _block(a: Sequence[int], b: Sequence[int], c: int, unit: Unit, source: Format) -> int:
    fmt = unit.fmt
    top = 1 << (fmt.width - 1)
    infinity = top - (1 << (fmt.precision - 1))
    terms = _terms(a, b, c, source, unit.inputs)
    if terms.nan or len(terms.infinities) == 2:
        return top - 1
    if terms.infinities:
        return infinity + (top if 1 in terms.infinities else 0)
    exponents = [unit.zero_exponent]
    for x, y in zip(a, b, strict=True):
        p, q = decode(x, unit.inputs[0]).magnitude, decode(y, unit.inputs[1]).magnitude
        if p * q:
            exponents.append(_exponent(p, unit.inputs[0]) + _exponent(q, unit.inputs[1]))
    if decode(c, source).magnitude:
        exponents.append(_exponent(decode(c, source).magnitude, source))
    weight = Fraction(2) ** (max(exponents) - unit.fraction_bits)
    total = sum(_CUT[unit.cut](value / weight) for value in terms.values)
    bits, flags = round_fraction(total * weight, fmt, unit.mode)
    if flags & OVERFLOW:
        return infinity + (bits & top)
    return 0 if bits == top else bits


def block_chain(a: Sequence[int], b: Sequence[int], c: int, unit: Unit) -> int:
    """Blocks in ascending k, the result of one the C of the next."""
    for k in range(0, len(a), unit.terms):
        source = unit.addend if k == 0 and unit.addend else unit.fmt
        c = _block(a[k : k + unit.terms], b[k : k + unit.terms], c, unit, source)
    return c
