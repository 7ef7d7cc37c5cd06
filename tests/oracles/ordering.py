"""Comparisons, minimum and maximum, total order, classes and neighbours, from the text of the standards.

Shares only `rational.decode` with the rest of the oracles, and nothing with the package.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cmp_to_key, lru_cache
from typing import Literal

from halfsim.formats import BINARY16, Format
from tests.oracles.rational import (
    DIVIDE_BY_ZERO,
    INVALID,
    PLAIN,
    Context,
    Datum,
    decode,
    infinity,
    nan_result,
)

__all__ = [
    "COMPARISONS",
    "EXTREMA",
    "class_name",
    "compare",
    "extremum",
    "logb",
    "next_toward",
    "scaleb",
    "total_order",
]

# IEEE 754-2019 tables 5.1 to 5.3: the relations for which a comparison is true, and whether a quiet NaN is invalid.
# L less, E equal, G greater, U unordered.
COMPARISONS = {
    "equal": ("E", False),
    "not_equal": ("LGU", False),
    "greater": ("G", True),
    "greater_equal": ("EG", True),
    "less": ("L", True),
    "less_equal": ("LE", True),
    "equal_signaling": ("E", True),
    "not_equal_signaling": ("LGU", True),
    "greater_quiet": ("G", False),
    "greater_equal_quiet": ("EG", False),
    "less_quiet": ("L", False),
    "less_equal_quiet": ("LE", False),
    "not_greater": ("LEU", True),
    "less_unordered": ("LU", True),
    "not_less": ("EGU", True),
    "greater_unordered": ("GU", True),
    "not_greater_quiet": ("LEU", False),
    "less_unordered_quiet": ("LU", False),
    "not_less_quiet": ("EGU", False),
    "greater_unordered_quiet": ("GU", False),
    "unordered": ("U", False),
    "ordered": ("LEG", False),
}


def _greater_than(x: Datum, y: Datum) -> bool:
    """x > y for two numbers, infinities included; zeros are equal."""
    if x.kind == "infinite" or y.kind == "infinite":
        rank = [(0 if d.kind == "finite" else -1 if d.sign else 1) for d in (x, y)]
        return rank[0] > rank[1]
    return x.value > y.value


def compare(a: int, b: int, name: str, ctx: Context = PLAIN) -> tuple[int, int]:
    """One of the 22 comparisons: (truth, flags)."""
    relations, signaling = COMPARISONS[name]
    x, y = ctx.read(a, BINARY16), ctx.read(b, BINARY16)
    if x.is_nan or y.is_nan:
        invalid = signaling or "signaling" in (x.kind, y.kind)
        return int("U" in relations), INVALID if invalid else 0
    relation = "G" if _greater_than(x, y) else "L" if _greater_than(y, x) else "E"
    return int(relation in relations), 0


Convention = Literal["2019", "2019 number", "2008", "x86"]

EXTREMA: dict[str, tuple[Convention, bool, bool]] = {
    "minimum": ("2019", False, False),
    "maximum": ("2019", True, False),
    "minimum_number": ("2019 number", False, False),
    "maximum_number": ("2019 number", True, False),
    "minimum_magnitude": ("2019", False, True),
    "maximum_magnitude": ("2019", True, True),
    "minimum_magnitude_number": ("2019 number", False, True),
    "maximum_magnitude_number": ("2019 number", True, True),
    "min_num": ("2008", False, False),
    "max_num": ("2008", True, False),
    "min_num_mag": ("2008", False, True),
    "max_num_mag": ("2008", True, True),
    "minsh": ("x86", False, False),
    "maxsh": ("x86", True, False),
}
"""Convention, whether the maximum, whether of magnitudes."""


def extremum(a: int, b: int, name: str, ctx: Context = PLAIN) -> tuple[int, int]:
    """Minimum or maximum of a convention: (bits, flags). 754-2008's choice between zeros is -0 < +0 here."""
    convention, maximum, magnitude = EXTREMA[name]
    x, y = ctx.read(a, BINARY16), ctx.read(b, BINARY16)
    # A flushed operand is a zero wherever it is returned.
    a, b = ((d.sign << 15 if d.is_zero else bits) for d, bits in ((x, a), (y, b)))
    signaling = "signaling" in (x.kind, y.kind)
    if x.is_nan or y.is_nan:
        if convention == "x86":
            return b, INVALID
        keeps_number = convention == "2019 number" or (convention == "2008" and not signaling)
        if keeps_number and not (x.is_nan and y.is_nan):
            return (b if x.is_nan else a), INVALID if signaling else 0
        return nan_result([x, y], [BINARY16, BINARY16], ctx.machine, BINARY16)
    if convention == "x86":
        # MIN: the first if it is less, else the second.
        first = _greater_than(x, y) if maximum else _greater_than(y, x)
        return (a if first else b), 0
    if magnitude:
        larger, smaller = (_greater_than(d._replace(sign=0), e._replace(sign=0)) for d, e in ((x, y), (y, x)))
        if larger or smaller:
            return (a if larger == maximum else b), 0
    if _greater_than(x, y) or _greater_than(y, x):
        return (a if _greater_than(x, y) == maximum else b), 0
    # Equal: the same pattern, or zeros, of which -0 is the lesser.
    lesser, greater = sorted((a, b), reverse=True) if x.is_zero else (a, b)
    return (greater if maximum else lesser), 0


def total_order(a: int, b: int) -> int:
    """IEEE 754-2019 §5.10, clause by clause, for binary16."""
    x, y = decode(a), decode(b)
    if not x.is_nan and not y.is_nan:
        if _greater_than(y, x):
            return 1
        if _greater_than(x, y):
            return 0
        return int(x.sign >= y.sign)  # equal numbers: -0 before +0
    if x.is_nan and y.is_nan:
        if x.sign != y.sign:
            return int(x.sign == 1)
        if x.kind != y.kind:
            return int((x.kind == "signaling") == (x.sign == 0))
        return int(x.payload >= y.payload if x.sign else x.payload <= y.payload)
    return x.sign if x.is_nan else 1 - y.sign


def class_name(a: int) -> str:
    """IEEE 754-2019 §5.7.2 class."""
    d = decode(a)
    if d.is_nan:
        return "quietNaN" if d.kind == "quiet" else "signalingNaN"
    word = "Zero" if d.is_zero else "Infinity" if d.kind == "infinite" else "Normal"
    if word == "Normal" and d.magnitude * 2**14 < 1:
        word = "Subnormal"
    return ("negative" if d.sign else "positive") + word


@lru_cache(maxsize=1)
def _ordered() -> tuple[list[int], dict[int, int]]:
    """Every binary16 number but -0, ascending, and the place of each."""
    numbers = sorted(
        (bits for bits in range(65536) if not decode(bits).is_nan and bits != 0x8000),
        key=cmp_to_key(lambda p, q: _greater_than(decode(p), decode(q)) - _greater_than(decode(q), decode(p))),
    )
    return numbers, {bits: place for place, bits in enumerate(numbers)}


def next_toward(a: int, up: bool, ctx: Context = PLAIN) -> tuple[int, int]:
    """nextUp or nextDown; the neighbour of the smallest subnormal toward zero is the zero of its sign."""
    d = decode(a)
    if d.is_nan:
        return nan_result([d], [BINARY16], ctx.machine, BINARY16)
    numbers, places = _ordered()
    place = places[0 if a == 0x8000 else a] + (1 if up else -1)
    result = numbers[min(max(place, 0), len(numbers) - 1)]
    return (d.sign << 15 if result == 0 else result), 0


def scaleb(a: int, power: int, ctx: Context = PLAIN) -> tuple[int, int]:
    """a * 2**power with one rounding."""
    d = ctx.read(a, BINARY16)
    if d.is_nan:
        return nan_result([d], [BINARY16], ctx.machine, BINARY16)
    if d.kind == "infinite":
        return a, 0
    factor = min(max(power, -200), 200)  # already far outside of binary16 either way
    value = d.value * 2**factor if factor >= 0 else d.value / 2**-factor
    return ctx.round(value, BINARY16, d.sign)


def logb(a: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """Exponent of a as a number."""
    d = ctx.read(a, fmt)
    if d.is_nan:
        return nan_result([d], [fmt], ctx.machine, fmt)
    if d.kind == "infinite":
        return infinity(0, fmt), 0
    if d.is_zero:
        return infinity(1, fmt), DIVIDE_BY_ZERO
    # Exact in binary64: 0.5 <= fraction < 1.
    _, exponent = math.frexp(float(d.magnitude))
    return ctx.round(Fraction(exponent - 1), fmt)
