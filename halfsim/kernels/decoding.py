"""Factors of matrix units taken apart for `halfsim.kernels.blocksums`: binary32 values and codes of their exponents.

What the blocks do not know is decoded as zero and reported: infinities and NaNs, and finite numbers outside the window
of exponents that they know. No subnormal binary32 number is met.
"""

from __future__ import annotations

import struct
from math import ldexp
from typing import Any, NamedTuple

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from halfsim.core._jit import scalar
from halfsim.core.fields import layout, smaller
from halfsim.formats import Format, Specials
from halfsim.kernels.blocksums import Window
from halfsim.kernels.vectorcode import INT, Lanes, Memory, each, pointers

__all__ = ["OUTSIDE", "SPECIAL", "Form", "form", "pack_columns", "pack_rows"]

SPECIAL = 1
"""Report of an infinity or a NaN."""
OUTSIDE = 8
"""Report of a finite number outside the window."""


class Form(NamedTuple):
    """A format as the loops need it; a pattern without its sign is a magnitude."""

    mask: int
    """Bits of a magnitude."""
    sign: int
    """Weight that moves the sign bit to that of int32."""
    weight: int
    """Weight that moves a fraction to that of binary32."""
    rebias: int
    limit: int
    """Smallest normal magnitude."""
    ulp: int
    """Pattern of the binary32 weight of a subnormal number's last bit; 0 if those are outside the window."""
    low: int
    """Smallest magnitude but zero inside the window."""
    high: int
    """Largest magnitude inside the window."""
    largest: int
    """Largest finite magnitude."""
    infinity: int
    """Magnitude of the infinity, -1 if there is none."""
    code: int
    """Code of exponent 0, less binary32's bias."""
    least: int
    """Code of the smallest exponent."""


def form(fmt: Format, window: Window) -> Form:
    """Return the form of a format that binary32 contains."""
    fields = layout(fmt)
    fraction = fmt.precision - 1
    # Subnormal numbers of binary32 are not for a window.
    gradual = fmt.emin >= window.first and fmt.emin - fraction >= -126

    def magnitude(exponent: int) -> int:
        return (exponent - fmt.emin + 1) << fraction

    ulp = struct.unpack("<i", struct.pack("<f", ldexp(1.0, fmt.emin - fraction)))[0] if gradual else 0
    return Form(
        mask=(1 << (fmt.width - 1)) - 1,
        sign=1 << (32 - fmt.width),
        weight=1 << (23 - fraction),
        rebias=(126 + fmt.emin) << 23,
        limit=1 << fraction,
        ulp=ulp,
        low=1 if gradual else magnitude(max(window.first, fmt.emin)),
        high=min(fields.largest, magnitude(window.last + 1) - 1),
        largest=fields.largest,
        infinity=fields.infinity if fmt.specials == Specials.ieee else -1,
        code=window.zero - 127,
        least=max(fmt.emin, window.first) + window.zero,
    )


def _decode(pattern: Lanes, rule: Any) -> tuple[Lanes, Lanes, Lanes]:
    """Return (binary32 pattern, code, report) of int32 patterns; the rule holds vectors."""
    magnitude = pattern & rule.mask
    normal = magnitude * rule.weight + rule.rebias
    subnormal = (magnitude.to_float() * rule.ulp.number()).bits()
    value = magnitude.below(rule.limit).choose(subnormal, normal)
    outside = magnitude.below(rule.low) | rule.high.below(magnitude)
    zero = magnitude & 0
    report = rule.largest.below(magnitude).choose(zero + SPECIAL, OUTSIDE)
    report = (outside & ~magnitude.equals(0)).choose(report, 0)
    code = ((value >> 23) + rule.code).larger(rule.least)
    sign = (pattern ^ magnitude) * rule.sign
    return outside.choose(zero, value) | sign, outside.choose(zero, code), report


@intrinsic
def decode(typingctx, source, at, count, values, codes, to, reports, column, rule):
    """Decode `count` patterns from `at` on into values and codes from `to` on; add to reports from `column` on."""
    kinds = (source, values, codes, reports)

    def codegen(context, builder, signature, args):
        origin, numbers, exponents, seen = pointers(context, builder, kinds, (args[0], args[3], args[4], args[6]))
        words = cgutils.unpack_tuple(builder, args[8])

        def body(memory: Memory, j: Any) -> None:
            spread = Form._make(memory.splat(builder.trunc(word, INT)) for word in words)
            bits, code, report = _decode(memory.load(origin, builder.add(args[1], j)).widened(), spread)
            place, own = builder.add(args[5], j), builder.add(args[7], j)
            memory.store(numbers, place, bits.number())
            memory.store(exponents, place, code.shortened(exponents.type.pointee))
            memory.store(seen, own, memory.load(seen, own) | report)

        each(builder, args[2], body)
        return context.get_dummy_value()

    integers = types.int64, types.int64
    return types.void(source, *integers, values, codes, types.int64, reports, types.int64, rule), codegen


@scalar
def pack_columns(b, matrix, start, stop, part, rule, width, values, codes, reports):
    """Decode columns `start` to `stop` of one matrix of b (matrices, K, N) into panels of `width` columns.

    `part` says which terms: the first, the one after the last, how many with those that are to be zero, and how many a
    panel has room for. `reports` has a place for every column, and adds up the parts.
    """
    first_term, last_term, whole, depth = part
    if first_term == 0:
        for j in range(stop - start):
            reports[j] = 0
    for first in range(start, stop, width):
        panel = (first - start) * depth
        for k in range(last_term - first_term):
            source = (matrix * b.shape[1] + first_term + k) * b.shape[2] + first
            target = panel + k * width
            decode(b, source, smaller(width, stop - first), values, codes, target, reports, first - start, rule)
        for j in range(panel + (last_term - first_term) * width, panel + whole * width):
            values[j], codes[j] = 0, 0


@scalar
def pack_rows(a, matrix, start, count, part, rule, values, codes, reports, scratch):
    """Decode a part of `count` rows of one matrix of a (matrices, M, K); `reports` has a place for every row."""
    first_term, last_term, whole, depth = part
    terms = last_term - first_term
    for i in range(count):
        for k in range(terms):
            scratch[k] = 0
        source = (matrix * a.shape[1] + start + i) * a.shape[2] + first_term
        decode(a, source, terms, values, codes, i * depth, scratch, 0, rule)
        report = 0
        for k in range(terms):
            report |= scratch[k]
        reports[i] = report if first_term == 0 else reports[i] | report
        for k in range(i * depth + terms, i * depth + whole):
            values[k], codes[k] = 0, 0
