"""Sums between memory and registers: C read, results written.

No binary32 number met is subnormal, so that the processor's switches for those change nothing. Products of binary16 are
multiples of 2**-48, hence a sum that has met a nonzero one is zero or at least 2**-72; before that it is C, and a
subnormal C is stood for by the smallest normal number, which any such product swallows as well.
"""

from __future__ import annotations

from numpy import int32

from halfsim.core._jit import scalar
from halfsim.core.fields import larger
from halfsim.kernels.simd import bits_of, decode, float_of, less, nearest

__all__ = ["read16", "read32", "write16", "write32"]

_MAGNITUDE = 0x7FFFFFFF
_SMALLEST_NORMAL = 0x00800000


@scalar
def read32(source, total):
    """Read C as binary32 numbers: the smallest normal one stands for those that are subnormal."""
    for j in range(source.size):
        c = int32(source[j])
        magnitude = int32(c & _MAGNITUDE)
        normal = larger(magnitude, int32(_SMALLEST_NORMAL)) if less(0, magnitude) else magnitude
        total[j] = float_of(int32(int32(c ^ magnitude) | normal))


@scalar
def write32(total, target):
    """Write sums, with canonical NaNs, where C was read."""
    for j in range(target.size):
        bits = bits_of(total[j])
        magnitude = int32(bits & _MAGNITUDE)
        # The smallest normal number is no sum: it is C untouched, or stands for it.
        result = bits if less(0, int32(magnitude ^ _SMALLEST_NORMAL)) else int32(target[j])
        target[j] = int32(0x7FC00000) if less(0x7F800000, magnitude) else result


@scalar
def read16(source, rule, total):
    """Read C as binary16 numbers, flushed where the rule says so, and zeros where no column is."""
    for j in range(source.size):
        total[j] = decode(source[j], rule)
    for j in range(source.size, total.size):
        total[j] = 0


@scalar
def write16(total, target):
    """Write sums that are binary16 numbers, with canonical NaNs."""
    for j in range(target.size):
        bits = nearest(bits_of(total[j]), int32(0))[0]
        target[j] = int32(0x7E00) if int32(bits & 0x7FFF) > 0x7C00 else bits
