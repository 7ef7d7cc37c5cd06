"""Exact reference arithmetic in plain Python integers and fractions.

Only the description of a format is shared with the package; decoding, rounding, flags, NaN rules and every operation
are written here again, from IEEE 754-2019 and the manuals, by exact rational arithmetic.

A rounding mode is one of "rne", "rna", "rtz", "rup", "rdn", "odd", "stochastic". Flags are the five bits of
`halfsim.Flags`, written as numbers here: inexact 1, underflow 2, overflow 4, divide by zero 8, invalid 16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from halfsim.formats import BINARY16, BINARY64, Format, Specials

INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16
MODES = ("rne", "rtz", "rdn", "rup", "rna", "odd")

Tininess = Literal["after", "before"]


class Datum(NamedTuple):
    """A decoded pattern."""

    sign: int
    kind: Literal["finite", "infinite", "quiet", "signaling"]
    magnitude: Fraction
    """Absolute value of a finite datum."""
    payload: int
    """Fraction field of a NaN."""

    @property
    def is_nan(self) -> bool:
        return self.kind in ("quiet", "signaling")

    @property
    def is_zero(self) -> bool:
        return self.kind == "finite" and self.magnitude == 0

    @property
    def value(self) -> Fraction:
        assert self.kind == "finite"
        return -self.magnitude if self.sign else self.magnitude


@lru_cache(maxsize=1 << 18)
def decode(bits: int, fmt: Format = BINARY16) -> Datum:
    """Read a pattern by its fields, IEEE 754-2019 §3.4."""
    fraction_bits = fmt.precision - 1
    exponent_bits = fmt.width - 1 - fraction_bits
    digits = format(bits, f"0{fmt.width}b")
    assert len(digits) == fmt.width, "pattern wider than its format"
    sign = int(digits[0])
    exponent = int(digits[1 : 1 + exponent_bits], 2)
    fraction = int(digits[1 + exponent_bits :], 2)
    all_ones = exponent == 2**exponent_bits - 1
    if fmt.specials == Specials.ieee and all_ones:
        if fraction == 0:
            return Datum(sign, "infinite", Fraction(0), 0)
        return Datum(sign, "quiet" if digits[1 + exponent_bits] == "1" else "signaling", Fraction(0), fraction)
    if fmt.specials == Specials.nan_only and all_ones and fraction == 2**fraction_bits - 1:
        return Datum(sign, "quiet", Fraction(0), fraction)
    significand = fraction if exponent == 0 else 2**fraction_bits + fraction
    power = max(exponent - 1, 0) + fmt.emin - fraction_bits
    magnitude = Fraction(significand << power) if power >= 0 else Fraction(significand, 1 << -power)
    return Datum(sign, "finite", magnitude, 0)


@lru_cache(maxsize=1 << 18)
def _flushed(bits: int, fmt: Format) -> Datum:
    """Read a pattern, a subnormal number as zero."""
    datum = decode(bits, fmt)
    if datum.kind == "finite" and datum.magnitude < _power(fmt.emin):
        return datum._replace(magnitude=Fraction(0))
    return datum


def encode(sign: int, magnitude: Fraction, fmt: Format = BINARY16) -> int:
    """Pattern of a value that the format represents exactly."""
    if magnitude == 0:
        return sign << (fmt.width - 1)
    exponent = max(_exponent(magnitude.numerator, magnitude.denominator), fmt.emin)
    significand = magnitude / _power(exponent - fmt.precision + 1)
    assert significand.denominator == 1
    assert significand < 2**fmt.precision
    assert exponent <= fmt.emax
    integer = significand.numerator
    if integer >> (fmt.precision - 1) == 0:
        field = 0
    else:
        field = exponent - fmt.emin + 1
        integer -= 1 << (fmt.precision - 1)
    return (sign << (fmt.width - 1)) | (field << (fmt.precision - 1)) | integer


def infinity(sign: int, fmt: Format = BINARY16) -> int:
    """Pattern of infinity, or of what the format puts in its place."""
    magnitude = (1 << (fmt.width - 1)) - 1  # all ones: the NaN of nan_only, the largest number of none
    if fmt.specials == Specials.ieee:
        magnitude -= (1 << (fmt.precision - 1)) - 1
    return (sign << (fmt.width - 1)) | magnitude


def largest(sign: int, fmt: Format = BINARY16) -> int:
    """Pattern of the largest finite number."""
    top = (1 << (fmt.width - 1)) - 1
    magnitude = {
        Specials.ieee: top - (1 << (fmt.precision - 1)),
        Specials.nan_only: top - 1,
        Specials.none: top,
    }[fmt.specials]
    return (sign << (fmt.width - 1)) | magnitude


@lru_cache
def _limit(fmt: Format) -> tuple[int, int]:
    """Numerator and denominator of the largest finite number."""
    return decode(largest(0, fmt), fmt).magnitude.as_integer_ratio()


@lru_cache(maxsize=1 << 14)
def _power(exponent: int) -> Fraction:
    return Fraction(2**exponent) if exponent >= 0 else Fraction(1, 2**-exponent)


def _exponent(numerator: int, denominator: int) -> int:
    """Largest e with 2**e <= numerator / denominator."""
    e = numerator.bit_length() - denominator.bit_length()
    return e if numerator << max(-e, 0) >= denominator << max(e, 0) else e - 1


def _to_multiple(
    sign: int, numerator: int, denominator: int, quantum: int, mode: str, random: int, random_bits: int
) -> tuple[int, bool]:
    """Round numerator / denominator to a multiple of 2**quantum: (the multiple, whether exact)."""
    if quantum >= 0:
        denominator <<= quantum
    else:
        numerator <<= -quantum
    kept, rest = divmod(numerator, denominator)
    if rest == 0:
        return kept, True
    twice = 2 * rest
    if mode == "rne":
        up = twice > denominator or (twice == denominator and kept % 2 == 1)
    elif mode == "rna":
        up = twice >= denominator
    elif mode == "rtz":
        up = False
    elif mode == "rup":
        up = sign == 0
    elif mode == "rdn":
        up = sign == 1
    elif mode == "odd":
        up = kept % 2 == 0
    elif mode == "stochastic":
        # d + r / 2**bits >= 1, r the leading bits of a 32-bit word.
        r = random >> (32 - random_bits)
        up = (rest << random_bits) + r * denominator >= denominator << random_bits
    else:
        raise ValueError(f"unknown mode {mode!r}")
    return kept + up, False


def round_ratio(
    sign: int,
    numerator: int,
    denominator: int,
    fmt: Format = BINARY16,
    mode: str = "rne",
    tininess: Tininess = "after",
    *,
    random: int = 0,
    random_bits: int = 32,
    flush_results: bool = False,
    flush_inexact: bool = True,
    saturate: bool = False,
) -> tuple[int, int]:
    """Round (-1)**sign * numerator / denominator to a format: (bits, flags); 0 gives a zero of that sign."""
    if numerator == 0:
        return sign << (fmt.width - 1), 0
    exponent = _exponent(numerator, denominator)
    tiny = exponent < fmt.emin
    if tiny and tininess == "after":
        # With an exponent range without limits (§7.5).
        finest = exponent - fmt.precision + 1
        unbounded, _ = _to_multiple(sign, numerator, denominator, finest, mode, random, random_bits)
        tiny = unbounded < 1 << (fmt.emin - finest)
    if tiny and flush_results:
        return sign << (fmt.width - 1), UNDERFLOW | (INEXACT if flush_inexact else 0)
    quantum = max(exponent, fmt.emin) - fmt.precision + 1
    kept, exact = _to_multiple(sign, numerator, denominator, quantum, mode, random, random_bits)
    limit, parts = _limit(fmt)
    if (kept << max(quantum, 0)) * parts > limit << max(-quantum, 0):
        away = mode in ("rne", "rna", "stochastic") or (mode == "rup" and not sign) or (mode == "rdn" and sign)
        if saturate and fmt.specials != Specials.ieee:
            away = False
        return (infinity(sign, fmt) if away else largest(sign, fmt)), OVERFLOW | INEXACT
    # Positive patterns count up with the values, so a kept multiple is placed by its exponent.
    magnitude = ((quantum - (fmt.emin - fmt.precision + 1)) << (fmt.precision - 1)) + kept
    flags = 0 if exact else INEXACT | (UNDERFLOW if tiny else 0)
    return (sign << (fmt.width - 1)) | magnitude, flags


def round_fraction(
    value: Fraction,
    fmt: Format = BINARY16,
    mode: str = "rne",
    tininess: Tininess = "after",
    *,
    zero_sign: int = 0,
    random: int = 0,
    random_bits: int = 32,
    flush_results: bool = False,
    flush_inexact: bool = True,
    saturate: bool = False,
) -> tuple[int, int]:
    """Round an exact value to a format: (bits, flags); `zero_sign` is the sign of an exact zero."""
    numerator, denominator = value.as_integer_ratio()
    return round_ratio(
        int(numerator < 0) if numerator else zero_sign,
        abs(numerator),
        denominator,
        fmt,
        mode,
        tininess,
        random=random,
        random_bits=random_bits,
        flush_results=flush_results,
        flush_inexact=flush_inexact,
        saturate=saturate,
    )


@dataclass(frozen=True)
class Machine:
    """What IEEE 754 leaves open, as the manuals tell it; `name` is that of the package's preset."""

    name: str
    default_sign: int
    default_payload: Literal["quiet", "ones"]
    choice: Literal["default", "first", "signaling first"]
    fma_order: Literal["abc", "cab"]
    infinity_zero_quiet: Literal["default and invalid", "operand"]
    tininess: Tininess
    integers: Literal["zero", "max", "indefinite", "zero or top"]
    """Integer of a NaN, "zero or top" by width; out of range saturates for all but "indefinite"."""
    flush_inputs: bool = False
    flush_results: bool = False
    flush_inexact: bool = True
    """Whether a flushed result is inexact: x86 raises underflow and precision (SDM vol. 1, 4.9.1.5); Arm's FPRound
    sets the underflow flag alone."""
    binary64_passes: bool = False
    """Whether a conversion from or to binary64 passes a NaN on whatever `choice` says, as captured from an H200."""


# One row per machine: default NaN, NaN choice, fma's order, inf * 0 + quiet NaN, tininess, float to integer.
MACHINES = {
    m.name: m
    for m in (
        Machine("IEEE", 0, "quiet", "first", "abc", "operand", "after", "zero"),
        Machine("X86", 1, "quiet", "first", "abc", "operand", "after", "indefinite"),
        Machine(
            "ARM", 0, "quiet", "signaling first", "cab", "default and invalid", "before", "zero", False, False, False
        ),
        Machine(
            "ARM_DEFAULT_NAN",
            0,
            "quiet",
            "default",
            "abc",
            "default and invalid",
            "before",
            "zero",
            False,
            False,
            False,
        ),
        Machine("RISCV", 0, "quiet", "default", "abc", "default and invalid", "after", "max"),
        Machine(
            "CUDA", 0, "ones", "default", "abc", "default and invalid", "after", "zero or top", binary64_passes=True
        ),
    )
}
IEEE = MACHINES["IEEE"]


class Context(NamedTuple):
    """How one operation rounds."""

    mode: str = "rne"
    machine: Machine = IEEE
    random: int = 0
    random_bits: int = 32
    saturate: bool = False

    def round(self, value: Fraction, fmt: Format, zero_sign: int = 0) -> tuple[int, int]:
        return round_fraction(
            value,
            fmt,
            self.mode,
            self.machine.tininess,
            zero_sign=zero_sign,
            random=self.random,
            random_bits=self.random_bits,
            flush_results=self.machine.flush_results,
            flush_inexact=self.machine.flush_inexact,
            saturate=self.saturate,
        )

    def read(self, bits: int, fmt: Format) -> Datum:
        return _flushed(bits, fmt) if self.machine.flush_inputs else decode(bits, fmt)


PLAIN = Context()


def default_nan(machine: Machine, fmt: Format = BINARY16) -> int:
    """The NaN made by an invalid operation."""
    if fmt.specials == Specials.nan_only:
        return (machine.default_sign << (fmt.width - 1)) | ((1 << (fmt.width - 1)) - 1)
    quiet = 1 << (fmt.precision - 2)
    payload = 2 * quiet - 1 if machine.default_payload == "ones" else quiet
    return infinity(machine.default_sign, fmt) | payload


def nan_result(operands: list[Datum], sources: list[Format], machine: Machine, fmt: Format) -> tuple[int, int]:
    """Result of an operation with a NaN among its operands, given in the machine's order of preference."""
    pairs = [(d, source) for d, source in zip(operands, sources, strict=True) if d.is_nan]
    signaling = [pair for pair in pairs if pair[0].kind == "signaling"]
    flags = INVALID if signaling else 0
    if machine.choice == "default":
        return default_nan(machine, fmt), flags
    datum, source = (signaling or pairs)[0] if machine.choice == "signaling first" else pairs[0]
    return pass_nan(datum, source, fmt), flags


def pass_nan(datum: Datum, source: Format, fmt: Format) -> int:
    """Pattern of a NaN operand passed on to a format: payload left-aligned, quieted."""
    if fmt.specials != Specials.ieee:
        return infinity(datum.sign, fmt)
    payload = Fraction(datum.payload, 2 ** (source.precision - 1))
    if source.specials != Specials.ieee:
        payload = Fraction(0)  # the one NaN per sign of nan_only carries nothing but its sign
    field = math.floor(payload * 2 ** (fmt.precision - 1)) | (1 << (fmt.precision - 2))
    return infinity(datum.sign, fmt) | field


def _invalid(machine: Machine, fmt: Format) -> tuple[int, int]:
    return default_nan(machine, fmt), INVALID


def _zero_sign(ctx: Context, *signs: int) -> int:
    """Sign of an exactly zero sum (§6.3): the common sign, else plus except toward negative."""
    if len(set(signs)) == 1:
        return signs[0]
    return int(ctx.mode == "rdn")


def add(a: int, b: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """§5.4.1 addition."""
    x, y = ctx.read(a, fmt), ctx.read(b, fmt)
    if x.is_nan or y.is_nan:
        return nan_result([x, y], [fmt, fmt], ctx.machine, fmt)
    if x.kind == "infinite" and y.kind == "infinite" and x.sign != y.sign:
        return _invalid(ctx.machine, fmt)
    for datum in (x, y):
        if datum.kind == "infinite":
            return infinity(datum.sign, fmt), 0
    signs = (x.sign, y.sign) if x.is_zero and y.is_zero else (0, 1)
    return ctx.round(x.value + y.value, fmt, _zero_sign(ctx, *signs))


def subtract(a: int, b: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """§5.4.1 subtraction; the NaN of the second operand keeps its sign."""
    if decode(a, fmt).is_nan or decode(b, fmt).is_nan:
        return add(a, b, ctx, fmt)
    return add(a, b ^ (1 << (fmt.width - 1)), ctx, fmt)


def multiply(a: int, b: int, ctx: Context = PLAIN, fmt: Format = BINARY16, to: Format | None = None) -> tuple[int, int]:
    """§5.4.1 multiplication; `to` is the format of the result."""
    to = to or fmt
    x, y = ctx.read(a, fmt), ctx.read(b, fmt)
    sign = x.sign ^ y.sign
    if x.is_nan or y.is_nan:
        return nan_result([x, y], [fmt, fmt], ctx.machine, to)
    if x.kind == "infinite" or y.kind == "infinite":
        return _invalid(ctx.machine, to) if x.is_zero or y.is_zero else (infinity(sign, to), 0)
    return ctx.round(x.value * y.value, to, sign)


def divide(a: int, b: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """§5.4.1 division."""
    x, y = ctx.read(a, fmt), ctx.read(b, fmt)
    sign = x.sign ^ y.sign
    if x.is_nan or y.is_nan:
        return nan_result([x, y], [fmt, fmt], ctx.machine, fmt)
    if x.kind == "infinite":
        return _invalid(ctx.machine, fmt) if y.kind == "infinite" else (infinity(sign, fmt), 0)
    if y.kind == "infinite":
        return sign << (fmt.width - 1), 0
    if y.is_zero:
        return _invalid(ctx.machine, fmt) if x.is_zero else (infinity(sign, fmt), DIVIDE_BY_ZERO)
    return ctx.round(x.value / y.value, fmt, sign)


def fma(
    a: int, b: int, c: int, ctx: Context = PLAIN, fmt: Format = BINARY16, to: Format | None = None
) -> tuple[int, int]:
    """§5.4.1 fusedMultiplyAdd, a * b + c; a and b in `fmt`, c and the result in `to`."""
    to = to or fmt
    machine = ctx.machine
    x, y, z = ctx.read(a, fmt), ctx.read(b, fmt), ctx.read(c, to)
    undefined = (x.kind == "infinite" and y.is_zero) or (x.is_zero and y.kind == "infinite")
    if x.is_nan or y.is_nan or z.is_nan:
        if undefined and z.kind == "quiet" and machine.infinity_zero_quiet == "default and invalid":
            return _invalid(machine, to)
        if machine.fma_order == "abc":
            return nan_result([x, y, z], [fmt, fmt, to], machine, to)
        return nan_result([z, x, y], [to, fmt, fmt], machine, to)
    sign = x.sign ^ y.sign
    if undefined:
        return _invalid(machine, to)
    if x.kind == "infinite" or y.kind == "infinite":
        return _invalid(machine, to) if z.kind == "infinite" and z.sign != sign else (infinity(sign, to), 0)
    if z.kind == "infinite":
        return infinity(z.sign, to), 0
    product = x.value * y.value
    signs = (sign, z.sign) if product == 0 and z.is_zero else (0, 1)
    return ctx.round(product + z.value, to, _zero_sign(ctx, *signs))


def sqrt(a: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """§5.4.1 squareRoot."""
    x = ctx.read(a, fmt)
    if x.is_nan:
        return nan_result([x], [fmt], ctx.machine, fmt)
    if x.is_zero:
        return x.sign << (fmt.width - 1), 0
    if x.sign:
        return _invalid(ctx.machine, fmt)
    if x.kind == "infinite":
        return infinity(0, fmt), 0
    # A root cut to a grid finer than any rounding boundary; half a step stands for what was cut.
    shift = 2 * (fmt.precision + 64 - min(0, fmt.emin))
    radicand = x.magnitude * 2**shift
    assert radicand.denominator == 1
    root = math.isqrt(radicand.numerator)
    exact = root * root == radicand.numerator
    return ctx.round(Fraction(2 * root + (not exact), 2 ** (shift // 2 + 1)), fmt)


def remainder(a: int, b: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """§5.3.1 remainder: a - b * n, n the integer nearest to a / b, ties to even."""
    x, y = ctx.read(a, fmt), ctx.read(b, fmt)
    if x.is_nan or y.is_nan:
        return nan_result([x, y], [fmt, fmt], ctx.machine, fmt)
    if x.kind == "infinite" or y.is_zero:
        return _invalid(ctx.machine, fmt)
    if y.kind == "infinite":
        return ctx.round(x.value, fmt, x.sign)
    return ctx.round(x.value - y.value * round(x.value / y.value), fmt, x.sign)


def round_to_integral(a: int, ctx: Context = PLAIN, fmt: Format = BINARY16, *, exact: bool = False) -> tuple[int, int]:
    """§5.3.1 roundToIntegral; `exact` makes it roundToIntegralExact."""
    x = ctx.read(a, fmt)
    if x.is_nan:
        return nan_result([x], [fmt], ctx.machine, fmt)
    if x.kind == "infinite":
        return infinity(x.sign, fmt), 0
    integer, same = _to_multiple(
        x.sign, x.magnitude.numerator, x.magnitude.denominator, 0, ctx.mode, ctx.random, ctx.random_bits
    )
    return encode(x.sign, Fraction(integer), fmt), 0 if same or not exact else INEXACT


def convert(a: int, source: Format, to: Format, ctx: Context = PLAIN) -> tuple[int, int]:
    """§5.4.2 conversion between formats: one rounding.

    A target without NaN gets a zero for it, one without infinity its NaN or its largest number: both are invalid.
    """
    x = ctx.read(a, source)
    if x.is_nan:
        if to.specials == Specials.none:
            return x.sign << (to.width - 1), INVALID
        passes = ctx.machine.binary64_passes and BINARY64 in (source, to)
        return nan_result([x], [source], replace(ctx.machine, choice="first") if passes else ctx.machine, to)
    if x.kind == "infinite":
        if to.specials == Specials.ieee:
            return infinity(x.sign, to), 0
        return (largest(x.sign, to) if ctx.saturate else infinity(x.sign, to)), INVALID
    return ctx.round(x.value, to, x.sign)


def to_integer(
    a: int, low: int, high: int, ctx: Context = PLAIN, fmt: Format = BINARY16, *, exact: bool = False
) -> tuple[int, int]:
    """§5.8 conversion to the integers low ... high; `exact` makes it signal inexact."""
    x = ctx.read(a, fmt)
    rule = ctx.machine.integers
    indefinite = low if low < 0 else high
    if x.is_nan:
        by_width = 0 if high - low < 2**64 - 1 else low or 2**63
        return {"zero": 0, "max": high, "indefinite": indefinite, "zero or top": by_width}[rule], INVALID
    if x.kind == "infinite":
        return (indefinite if rule == "indefinite" else low if x.sign else high), INVALID
    integer, same = _to_multiple(
        x.sign, x.magnitude.numerator, x.magnitude.denominator, 0, ctx.mode, ctx.random, ctx.random_bits
    )
    integer = -integer if x.sign else integer
    if not low <= integer <= high:
        return (indefinite if rule == "indefinite" else low if x.sign else high), INVALID
    return integer, 0 if same or not exact else INEXACT


def from_integer(value: int, ctx: Context = PLAIN, fmt: Format = BINARY16) -> tuple[int, int]:
    """§5.4.1 convertFromInt; zero is +0."""
    return ctx.round(Fraction(value), fmt)
