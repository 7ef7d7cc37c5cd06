"""Blocks of a matrix unit in vector registers: aligned products as integers, their sum cut or rounded once.

A product of two factors is exact in binary32, and so is its multiple by the power of two that makes the unit of the
block 1; the conversion to an integer is the cut. Exponents are bytes, many to a register: `CODE` more than the exponent
of a factor and 0 for a zero, so that the sum of two is at least 2 * LEAST only where the product is not zero.

The products of a block are added in two halves, each of which fits int32. The sum of both has 33 bits; its sign is that
of the majority among both halves and their sum modulo 2**32, and its magnitude fits 32 bits.

Two rows at a time share what is loaded of B and hide each other's latency.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.core._processor import has_feature
from halfsim.kernels.lanes import BYTE, FLOAT, INT, LONG, Lanes, Memory, each, pointers

__all__ = ["CODE", "LEAST", "MOST", "add_blocks", "lanes", "read_sums", "write_sums"]

CODE = 112
"""Code of exponent 0."""
LEAST = 64
"""Code of the smallest exponent; more than the span of codes, hence the sum with a zero's is below 2 * LEAST."""
MOST = 127
"""Code of the largest exponent: a sum of two fits a byte."""

_SIGN = -(1 << 31)
_BIAS = 127
_INFINITE = 255 << 23
# Stands for an infinite binary16 sum: no product moves it.
_HUGE = 2.0**100


@cache
def _width() -> int:
    """Numbers in a vector: four registers of them, which pays where there are 32 registers."""
    return 64 if has_feature("avx512bw") else 16


@intrinsic
def lanes(typingctx):
    """Columns computed side by side, a constant of the processor."""

    def codegen(context, builder, signature, args):
        return LONG(_width())

    return types.int64(), codegen


def _scale(exponent: Lanes, fraction_bits: Lanes) -> Lanes:
    """Units per 1, a power of two, for biased exponents."""
    return ((fraction_bits + 2 * _BIAS - exponent) << 23).number()


def _unit(scale: Lanes) -> Lanes:
    """The unit: the inverse of a power of two."""
    return ((2 * _BIAS << 23) - scale.bits()).number()


def _sign_and_magnitude(first: Lanes, second: Lanes) -> tuple[Lanes, Lanes]:
    """Return (all ones or 0, unsigned magnitude) of the sum of two halves."""
    total = first + second
    sign = ((first & second) | ((first | second) & total)).sign()
    return sign, (total ^ sign) - sign


class _Binary32:
    """The sum in binary32, or fewer digits of it: cut."""

    @staticmethod
    def read(pattern: Lanes, mask: Lanes) -> Lanes:
        """C as a number; an infinity or a NaN as 0, and no zero is negative."""
        kept = pattern & mask
        number = (kept & ~_SIGN).equals(0).choose(kept & 0, kept)
        return (pattern & ~_SIGN).below(_INFINITE).choose(number, 0).number()

    @staticmethod
    def write(total: Lanes, pattern: Lanes) -> Lanes:
        """Pattern of a result; that of C passes an infinity or a NaN on."""
        magnitude = pattern & ~_SIGN
        special = magnitude.equals(_INFINITE).choose(pattern, 0x7FFFFFFF)
        return magnitude.below(_INFINITE).choose(total.bits(), special)

    @staticmethod
    def exponent(code: Lanes, total: Lanes) -> Lanes:
        """Biased exponent of a block; that of a subnormal C is below all that a product can have."""
        return (code.widened() + (_BIAS - 2 * CODE)).larger((total.bits() >> 23) & 255)

    @staticmethod
    def finish(first: Lanes, second: Lanes, scale: Lanes, code: Lanes, total: Lanes, mask: Lanes) -> Lanes:
        """The sum; C where there is no product but zeros."""
        sign, magnitude = _sign_and_magnitude(first, second)
        # Without its 25th digit an integer converts to the 24 digits above, never up.
        magnitude = magnitude & ~(magnitude >> 24)
        cut = (magnitude.to_float() * _unit(scale)).bits()
        result = ((cut & mask) | (sign & _SIGN)).number()
        return code.equals(2 * LEAST - 1).choose(total, result)


class _Binary16:
    """The sum in binary16, held in binary32: rounded to nearest."""

    @staticmethod
    def read(pattern: Lanes, mask: Lanes) -> Lanes:
        """C as a number; an infinity as _HUGE, a NaN as 0."""
        magnitude = pattern & 0x7FFF
        subnormal = (magnitude.to_float() * 2.0**-24).bits()
        value = magnitude.below(0x400).choose(subnormal, (magnitude << 13) + (112 << 23)).number()
        value = magnitude.below(0x7C00).choose(value, _HUGE)
        value = magnitude.below(0x7C01).choose(value, 0.0)
        return (value.bits() | ((pattern & 0x8000) << 16)).number()

    @staticmethod
    def write(total: Lanes, pattern: Lanes) -> Lanes:
        """Pattern of a result; that of C passes a NaN on. No zero is negative."""
        bits = total.bits()
        magnitude = bits & ~_SIGN
        # One half has the ulp of binary16's subnormals.
        subnormal = (magnitude.number() + 0.5).bits() - (126 << 23)
        normal = (magnitude - (112 << 23)) >> 13
        result = magnitude.below(113 << 23).choose(subnormal, normal)
        result = magnitude.below(143 << 23).choose(result, 0x7C00) | ((bits >> 16) & 0x8000)
        result = magnitude.equals(0).choose(magnitude, result)
        return (pattern & 0x7FFF).below(0x7C01).choose(result, 0x7FFF)

    @staticmethod
    def exponent(code: Lanes, total: Lanes) -> Lanes:
        """Biased exponent of a block; a subnormal C counts with the exponent of the smallest normal number."""
        magnitude = total.bits() & ~_SIGN
        own = magnitude.equals(0).choose(magnitude, (magnitude >> 23).larger(_BIAS - 14))
        return (code.widened() + (_BIAS - 2 * CODE)).larger(own)

    @staticmethod
    def finish(first: Lanes, second: Lanes, scale: Lanes, code: Lanes, total: Lanes, mask: Lanes) -> Lanes:
        """The sum, _HUGE where it overflows; a zero may be negative."""
        sign, magnitude = _sign_and_magnitude(first, second)
        # 24 digits are kept, the last of them sticky.
        sticky = (((magnitude & 255) + 255) | magnitude) & -256
        magnitude = (magnitude >> 24).equals(0).choose(magnitude, sticky)
        exact = magnitude.to_float() * _unit(scale)
        # Adding 1.5 * 2**23 ulps rounds to a multiple of the ulp, which is 2**-24 at least.
        binade = (exact.bits() & _INFINITE).larger((_BIAS - 14) << 23)
        shifter = ((binade + (13 << 23)) | (1 << 22)).number()
        rounded = (exact + shifter) - shifter
        rounded = rounded.below(65520.0).choose(rounded, _HUGE)
        return (rounded.bits() | (sign & _SIGN)).number()


def _unit_of(d: Any) -> type[_Binary32] | type[_Binary16]:
    return _Binary16 if d.dtype == types.uint16 else _Binary32


@intrinsic
def read_sums(typingctx, d, at, count, totals, to, mask):
    """Decode `count` patterns of C from `at` on; d is uint16 for binary16, else uint32."""

    def codegen(context, builder, signature, args):
        source, target = pointers(context, builder, (d, totals), (args[0], args[3]))

        def body(memory: Memory, j: Any) -> None:
            pattern = memory.load(source, builder.add(args[1], j)).widened()
            value = _unit_of(d).read(pattern, memory.splat(builder.trunc(args[5], INT)))
            memory.store(target, builder.add(args[4], j), value)

        each(builder, args[2], body)
        return context.get_dummy_value()

    return types.void(d, types.int64, types.int64, totals, types.int64, types.int64), codegen


@intrinsic
def write_sums(typingctx, totals, at, d, left, to, count, report, reports, column):
    """Encode `count` sums into d from `to` on, but for elements whose factors were reported; mark these in `left`.

    `report` is that on the row, `reports` has those on the columns from `column` on. A mark is their union; where they
    are SPECIAL alone, 2 or 4 are added if the sum of the other products is infinite in binary16, plus or minus.
    """

    def codegen(context, builder, signature, args):
        source, target, marks, seen = pointers(
            context, builder, (totals, d, left, reports), (args[0], *args[2:4], args[7])
        )

        def body(memory: Memory, j: Any) -> None:
            total, place = memory.load(source, builder.add(args[1], j)), builder.add(args[4], j)
            pattern = memory.load(target, place)
            both = memory.load(seen, builder.add(args[8], j)) | memory.splat(builder.trunc(args[6], INT))
            result = _unit_of(d).write(total, pattern.widened()).shortened(pattern.value.type.element)
            memory.store(target, place, both.equals(0).choose(result, pattern))
            over = (total.bits() & ~_SIGN).below((_BIAS + 100) << 23).choose(both & 0, ((total.bits() >> 31) << 1) + 2)
            mark = both.equals(1).choose(both + over, both)
            memory.store(marks, place, mark.shortened(BYTE))

        each(builder, args[5], body)
        return context.get_dummy_value()

    integers = types.int64, types.int64, types.int64
    return types.void(totals, types.int64, d, left, *integers, reports, types.int64), codegen


def _emit(
    unit: Any, memory: Memory, arrays: Any, rows: Any, panel: Any, totals: Any, counts: Any, constants: Any
) -> None:
    """Write the loop over blocks; see `add_blocks`."""
    builder = memory.builder
    values_a, codes_a, values_b, codes_b, sums = arrays
    terms, group = counts
    fraction_bits, mask = (memory.splat(builder.trunc(x, INT)) for x in (constants[0], constants[2]))
    least = memory.splat(builder.trunc(constants[1], BYTE))
    width = LONG(memory.width)
    half = builder.lshr(builder.add(group, LONG(1)), LONG(1))
    cells, codes, first, second = ([memory.cell(kind) for _ in rows] for kind in (FLOAT, BYTE, INT, INT))
    for cell, place in zip(cells, totals, strict=True):
        memory.set(cell, memory.load(sums, place))
    with cgutils.for_range_slice(builder, LONG(0), terms, group) as (start, _):
        stop, middle = builder.add(start, group), builder.add(start, half)
        for code in codes:
            memory.set(code, least)
        with cgutils.for_range_slice(builder, start, stop, LONG(1)) as (k, _):
            column = memory.load(codes_b, builder.add(panel, builder.mul(k, width)))
            for row, code in zip(rows, codes, strict=True):
                product = memory.spread(codes_a, builder.add(row, k)) + column
                memory.set(code, product.larger(memory.get(code)))
        before = [memory.get(cell) for cell in cells]
        exponents = [unit.exponent(memory.get(code), c) for code, c in zip(codes, before, strict=True)]
        scales = [_scale(exponent, fraction_bits) for exponent in exponents]
        for r, scale in enumerate(scales):
            memory.set(first[r], (before[r] * scale).truncated())
            memory.set(second[r], memory.splat(INT(0)))
        for low, high, halves in ((start, middle, first), (middle, stop, second)):
            with cgutils.for_range_slice(builder, low, high, LONG(1)) as (k, _):
                column = memory.load(values_b, builder.add(panel, builder.mul(k, width)))
                for row, scale, place in zip(rows, scales, halves, strict=True):
                    aligned = (memory.spread(values_a, builder.add(row, k)) * column) * scale
                    memory.set(place, memory.get(place) + aligned.truncated())
        for r, scale in enumerate(scales):
            parts = memory.get(first[r]), memory.get(second[r])
            memory.set(cells[r], unit.finish(*parts, scale, memory.get(codes[r]), before[r], mask))
    for cell, place in zip(cells, totals, strict=True):
        memory.store(sums, place, memory.get(cell))


@intrinsic
def add_blocks(
    typingctx,
    d,
    values_a,
    codes_a,
    values_b,
    codes_b,
    sums,
    x,
    y,
    panel,
    total,
    terms,
    group,
    fraction_bits,
    least,
    mask,
):
    """Add the blocks of two rows of A and one panel of B to their sums.

    `values_a` and `codes_a` hold decoded rows from `x` and `y` on, `values_b` and `codes_b` a panel from `panel` on,
    term after term; `sums` holds C from `total` on, one row after the other, and receives the results. `terms` is a
    multiple of `group`, the terms of a block; `least` is the smallest code of a block, 2 * LEAST - 1 where C alone may
    lie lower. `mask` has the bits of binary32 that a result keeps. Results are binary16 if d is uint16.
    """
    arrays = (values_a, codes_a, values_b, codes_b, sums)

    def codegen(context, builder, signature, args):
        memory = Memory(builder, _width())
        x, y, panel, total, terms, group, *constants = args[6:]
        totals = total, builder.add(total, LONG(memory.width))
        data = pointers(context, builder, arrays, args[1:6])
        _emit(_unit_of(d), memory, data, (x, y), panel, totals, (terms, group), constants)
        return context.get_dummy_value()

    return types.void(d, *arrays, *(types.int64,) * 9), codegen
