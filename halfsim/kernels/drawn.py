"""Stochastic rounding of binary32 numbers in 32-bit lanes, without flags: most of the time goes into drawing words.

The arguments are those of `halfsim.kernels.stochastic` without flags. Nothing is flushed, NaNs are left to the core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy import int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.control import STOCHASTIC, gradual, random_bits
from halfsim.core.fields import larger
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, Format
from halfsim.kernels.simd import INFINITY, less, shift_right
from halfsim.kernels.words import PIECE, ROOM, first_words, room

__all__ = ["binary32_to_bfloat16", "binary32_to_binary16", "drawing_loop"]

_SMALLEST = 113  # biased binary32 exponent of the smallest normal binary16 number
_PRECISION = 11  # bits of a binary16 significand


@intrinsic
def _shift_up(typingctx, value, count):
    """Left shift in 32 bits; zero for counts that are negative or above 31, as vectors have it."""

    def codegen(context, builder, signature, args):
        return _or_zero(builder, args[1], builder.shl(*args))

    return types.int32(types.int32, types.int32), codegen


@intrinsic
def _shift_down(typingctx, value, count):
    """Logical right shift in 32 bits, likewise."""

    def codegen(context, builder, signature, args):
        return _or_zero(builder, args[1], builder.lshr(*args))

    return types.int32(types.int32, types.int32), codegen


def _or_zero(builder, count, shifted):
    return builder.select(
        builder.icmp_unsigned("<", count, ir.Constant(count.type, 32)), shifted, ir.Constant(count.type, 0)
    )


@intrinsic
def _smaller(typingctx, a, b):
    """The smaller number, in a form that LLVM does not turn into a choice between what is computed from either."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(args[0].type, [args[0].type] * 2)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.smin.i32"), args)

    return types.int32(types.int32, types.int32), codegen


@scalar
def _rounded(bits, word):
    """Return the binary16 pattern of a binary32 one that is no NaN."""
    magnitude = int32(bits & 0x7FFFFFFF)
    # Bits of the significand that are kept if the last place is 2**-24; negative below 2**-25.
    above = int32(shift_right(magnitude, 23) - (_SMALLEST - _PRECISION))
    count = _smaller(above, int32(_PRECISION))
    significand = int32(int32(bits << 8) | -0x80000000)
    # In units of 2**-32 of the last place.
    fraction = int32(_shift_up(significand, count) | _shift_down(significand, int32(-above)))
    kept = int32(_shift_down(significand, int32(32 - count)) + int32(int32(above - count) * 1024))
    # The sum of fraction and word carries; signed numbers are faster to compare.
    carries = less(int32(word ^ 0x7FFFFFFF), int32(fraction ^ -0x80000000))
    result = int32(kept + (1 if carries else 0))
    result = result if less(result, 0x7C00) else int32(0x7C00)
    return int32(result | (shift_right(bits, 16) & 0x8000))


@kernel
def binary32_to_binary16(a, z, control, seed, index):
    """Binary32 patterns, uint32, rounded to binary16; return whether there are NaNs."""
    used = int32(-1 << (32 - random_bits(control)))
    words = carray(room(), ROOM)
    largest = int32(0)
    for start in range(0, z.size, PIECE):
        part, target = a[start : start + PIECE], z[start : start + PIECE]
        first_words(words, part.size, seed, index + start)
        for i in range(part.size):
            bits = int32(part[i])
            target[i] = _rounded(bits, int32(words[i] & used))
            largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def binary32_to_bfloat16(a, z, control, seed, index):
    """The same to bfloat16, of which the numbers, uint32, are binary32's with a lower half of zeros.

    A carry out of the lower half is the next number, of the largest one infinity. Subnormal numbers are not flushed.
    """
    used = int32(-1 << (32 - random_bits(control)))
    words = carray(room(), ROOM)
    largest = int32(0)
    for start in range(0, z.size, PIECE):
        part, target = a[start : start + PIECE], z[start : start + PIECE]
        first_words(words, part.size, seed, index + start)
        for i in range(part.size):
            bits = int32(part[i])
            target[i] = int32(int32(bits + _shift_down(int32(words[i] & used), int32(16))) & -0x10000)
            largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


_LOOPS: dict[tuple[Format, Format], Callable[..., Any]] = {
    (BINARY32, BINARY16): binary32_to_binary16,
    (BINARY32, BFLOAT16): binary32_to_bfloat16,
}


def drawing_loop(source: Format | None, target: Format, control: int) -> Callable[..., Any] | None:
    """Return the loop that rounds as a control word asks, or None."""
    if source is None or control & 7 != STOCHASTIC or gradual(control) != control:
        return None
    return _LOOPS.get((source, target))
