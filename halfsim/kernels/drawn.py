"""Stochastic rounding of binary32 numbers in 32-bit lanes, without flags: half of the time goes into drawing words.

The arguments are those of `halfsim.kernels.stochastic` without flags. Nothing is flushed, NaNs are left to the core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy import int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.control import STOCHASTIC, gradual, random_bits
from halfsim.core.philox import first_word
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, Format
from halfsim.kernels.simd import INFINITY, less, shift_right

__all__ = ["binary32_to_bfloat16", "binary32_to_binary16", "drawing_loop"]

_PIECE = 512  # words that are drawn before they are used: they stay in the nearest cache
_SMALLEST = 113  # biased binary32 exponent of the smallest normal binary16 number
_NORMAL = 13  # bits of a significand that binary32 has more


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
def _carries(typingctx, a, b):
    """Whether the sum of two unsigned numbers of 32 bits has one more."""

    def codegen(context, builder, signature, args):
        return builder.icmp_unsigned("<", builder.add(*args), args[0])

    return types.boolean(types.int32, types.int32), codegen


@scalar
def _rounded(bits, word, used):
    """Return the binary16 pattern of a binary32 one."""
    magnitude = int32(bits & 0x7FFFFFFF)
    above = int32(shift_right(magnitude, 23) - _SMALLEST)
    below = int32(-above) if less(above, 0) else int32(0)
    significand = int32((magnitude & 0x7FFFFF) | 0x800000)
    # What is left of the last place, in units of 2**-32 of it.
    less_than_word = int32(below + (_NORMAL - 32))
    fraction = int32(_shift_down(significand, less_than_word) | _shift_up(significand, int32(-less_than_word)))
    kept = _shift_down(significand, int32(below + _NORMAL))
    binade = int32(0) if less(above, 0) else above
    result = int32(int32(kept + int32(binade * 1024)) + _carries(int32(fraction & used), word))
    result = result if less(result, 0x7C00) else int32(0x7C00)
    result = int32(0x7E00) if less(INFINITY, magnitude) else result
    return int32(result | (shift_right(bits, 16) & 0x8000))


@kernel
def binary32_to_binary16(a, z, control, seed, index):
    """Binary32 patterns, uint32, rounded to binary16; return whether there are NaNs."""
    used = int32(-1 << (32 - random_bits(control)))
    words = np.empty(_PIECE, np.uint32)
    largest = int32(0)
    for start in range(0, z.size, _PIECE):
        size = min(_PIECE, z.size - start)
        for i in range(size):
            words[i] = first_word(seed, index + start + i) & used
        for i in range(size):
            bits = int32(a[start + i])
            z[start + i] = _rounded(bits, int32(words[i]), used)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def binary32_to_bfloat16(a, z, control, seed, index):
    """The same to bfloat16, of which the numbers, uint32, are binary32's with a lower half of zeros.

    A carry out of the lower half is the next number, of the largest one infinity. Subnormal numbers are not flushed.
    """
    used = int32(-1 << (32 - random_bits(control)))
    kept = int32(-0x10000 | shift_right(used, 16))
    words = np.empty(_PIECE, np.uint32)
    largest = int32(0)
    for start in range(0, z.size, _PIECE):
        size = min(_PIECE, z.size - start)
        for i in range(size):
            words[i] = (first_word(seed, index + start + i) & used) >> 16
        for i in range(size):
            bits = int32(a[start + i])
            z[start + i] = int32(int32(int32(bits & kept) + int32(words[i])) & -0x10000)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
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
