"""Rounding binary32 numbers to formats that binary32 contains, where they lie, in 32-bit lanes.

The patterns are binary32's before and after. Every deterministic rounding and every environment is known; NaNs are left
to the core. What is added below the last bit that a format keeps carries into the exponent, which is what a carry
means. Below the format's smallest normal number the units of its last place are counted, or, to nearest, are those of
a power of two that is added and taken away.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy import float32, int32
from numpy.typing import NDArray

from halfsim.core._inlined import interpreted
from halfsim.core._jit import kernel, scalar
from halfsim.core.control import STOCHASTIC, Bit, has, rounding_mode
from halfsim.core.fields import layout
from halfsim.core.round import overflow_result
from halfsim.flags import Flags
from halfsim.formats import BINARY32, Format, Specials
from halfsim.kernels.f16c import binary64_to_odd
from halfsim.kernels.simd import INFINITY, bits_of, float64_of, float_of, less, shift_right
from halfsim.rounding import Rounding

__all__ = ["Rule", "make_rule", "round_binary32", "round_binary64_to_odd", "round_flagged", "takes"]

_TINY = 1 << 23
"""Smallest normal pattern of binary32: what is smaller rounds as it does, where no format has numbers."""
_NAN = 0x7FC00000
_EXPONENT = 0x7F800000
_SMALLEST64 = 2.0**-1022


class Rule(NamedTuple):
    """What a control word means for a format, int32; `flip` members change a value for negative results."""

    nearest: int
    """1 if rounding is to nearest, or symmetric, and nothing is flushed, so that a shorter way is enough."""
    shift: int
    """Bits of a significand that binary32 has more."""
    mask: int
    """The others."""
    away: int
    """Added to a magnitude before it is cut."""
    away_flip: int
    even: int
    """1 if ties go to even: the last kept bit is added too."""
    odd: int
    """Last kept bit if an inexact result gets it set, else 0."""
    small: int
    """What smaller operands but zeros become: `_TINY`, or 0 if they are flushed."""
    first: int
    """Smallest normal number of a format with subnormal numbers of its own, 0 if they are those of binary32."""
    up: int
    """Number by which one smaller is multiplied to count its units, and 2**-shift of those,"""
    down: int
    """and what they are multiplied by then."""
    tiny: int
    """Added to a magnitude before it is compared with the smallest normal number."""
    tiny_flip: int
    normal: int
    flushed: int
    """The same number if smaller results become zeros, else 0."""
    alone: int
    """1 if those raise underflow alone."""
    top: int
    """The power of two above the largest number."""
    largest: int
    over: int
    """Pattern of an overflowed positive result."""
    over_flip: int
    infinite: int
    """Pattern that infinity becomes,"""
    invalid: int
    """and the flags that it raises."""


_FIELDS = len(Rule._fields)
# A compiler that comes for these takes longer than a first call should.
_mode_of, _has, _overflowed = map(interpreted, (rounding_mode, has, overflow_result))


def takes(target: Format, control: int) -> bool:
    """Whether `round_binary32` rounds to a format as a control word asks."""
    if _mode_of(control) == STOCHASTIC or target.precision > 22 or not BINARY32.contains(target):
        return False
    # Units are counted in normal numbers; the smallest normal one of binary32 is still a part of a unit, and no zero.
    own = -103 <= target.emin <= 46 and target.emin - target.precision >= -125
    return own or target.emin == BINARY32.emin


def _pattern(number: float) -> int:
    return int(struct.unpack("<i", struct.pack("<f", number))[0])


@lru_cache(maxsize=64)
def make_rule(target: Format, control: int, flush_inputs: bool) -> NDArray[np.int32]:
    """Return the `Rule` of a control word and a format that `takes` accepts; flushing of inputs is given apart."""
    mode, fields = _mode_of(control), layout(target)
    shift = 24 - target.precision
    half = 1 << (shift - 1)
    positive, negative = {
        Rounding.roundTiesToEven: (half - 1, half - 1),
        Rounding.roundTiesToAway: (half, half),
        Rounding.roundTowardPositive: (2 * half - 1, 0),
        Rounding.roundTowardNegative: (0, 2 * half - 1),
    }.get(mode, (0, 0))
    even = int(mode == Rounding.roundTiesToEven)
    own = target.emin > BINARY32.emin
    # Just below the smallest normal number the last kept bit is 1; that of binary32 has no further place there.
    before = _has(control, Bit.tininessBefore)
    tiny, tiny_negative = (0 if before else (away + even) >> (0 if own else 1) for away in (positive, negative))
    largest = _pattern(target.largest)

    def held(pattern: int) -> int:
        magnitude = pattern & ~fields.sign_bit
        beyond = INFINITY if target.specials == Specials.ieee else _NAN
        return largest if magnitude == fields.largest else beyond

    over, over_negative = (held(_overflowed(sign, fields, control)) for sign in (0, 1))
    saturates = target.specials != Specials.ieee and _has(control, Bit.saturate)
    infinite = largest if saturates else held(fields.infinity)
    flushes = _has(control, Bit.flushResults)
    if own:
        nearest = even and not flushes and target.emax + shift < 127
    else:
        nearest = positive == negative and not flushes and not flush_inputs and over == infinite == INFINITY
        nearest = nearest and largest == INFINITY - (1 << shift)
    rule = Rule(
        nearest=int(nearest),
        shift=shift,
        mask=-1 << shift,
        away=positive,
        away_flip=positive ^ negative,
        even=even,
        odd=1 << shift if mode == Rounding.roundToOdd else 0,
        small=0 if flush_inputs else _TINY,
        first=_pattern(target.smallest_normal) if own else 0,
        up=_pattern(2.0 ** (23 - target.emin)) if own else 0,
        down=_pattern(2.0 ** (target.emin - 23)) if own else 0,
        tiny=tiny,
        tiny_flip=tiny ^ tiny_negative,
        normal=_pattern(target.smallest_normal),
        flushed=_pattern(target.smallest_normal) if flushes else 0,
        alone=int(not _has(control, Bit.flushInexact)),
        top=_pattern(2.0 ** (target.emax + 1)) if target.emax < 127 else INFINITY,
        largest=largest,
        over=over,
        over_flip=over ^ over_negative,
        infinite=infinite,
        invalid=0 if target.specials == Specials.ieee else int(Flags.invalid),
    )
    # Compiled code is given an array faster than a tuple.
    words = np.array(rule, np.int32)
    words.flags.writeable = False
    return words


@scalar
def _cut(value, sign, rule):
    """Round an integer to its kept bits: return (magnitude, whether it is exact)."""
    last = int32(shift_right(value, rule.shift) & rule.even)
    away = int32(rule.away ^ int32(rule.away_flip & sign))
    result = int32(int32(int32(value + away) + last) & rule.mask)
    inexact = int32(value & ~rule.mask) != 0
    return int32(result | rule.odd) if inexact else result, inexact


@scalar
def _finished(result, inexact, magnitude, sign, rule):
    """Return (pattern, flags) of a rounded magnitude, or what stands for one that is too large or too small."""
    finite = less(magnitude, INFINITY)
    over = less(rule.largest, result) & finite
    near = int32(magnitude + int32(rule.tiny ^ int32(rule.tiny_flip & sign)))
    flushed = less(near, rule.flushed)
    result = int32(rule.over ^ int32(rule.over_flip & sign)) if over else result
    result = int32(0) if flushed else result
    result = result if finite else rule.infinite
    flushed = flushed & (magnitude != 0)
    inexact = inexact | flushed | over
    underflow = less(near, rule.normal) & inexact
    flags = int32(inexact) | (2 if underflow else 0) | (4 if over else 0)
    flags = int32(2) if flushed & (rule.alone != 0) else flags
    return int32(result | (sign & -0x80000000)), flags if finite else rule.invalid


@scalar
def _shared(bits, rule):
    """Round where subnormal numbers are those of binary32: return (pattern, flags)."""
    magnitude, sign = int32(bits & 0x7FFFFFFF), shift_right(bits, 31)
    small = magnitude if rule.small != 0 else int32(0)
    magnitude = small if less(magnitude, _TINY) else magnitude
    result, inexact = _cut(magnitude, sign, rule)
    return _finished(result, inexact, magnitude, sign, rule)


@scalar
def _shared_nearest(bits, rule):
    """Return the pattern without flushing, where signs round alike and infinity is beyond the largest number."""
    last = int32(shift_right(bits, rule.shift) & rule.even)
    return int32(int32(int32(bits + rule.away) + last) & rule.mask)


@scalar
def _own(bits, rule):
    """Round where a format has subnormal numbers that binary32 has as normal ones: return (pattern, flags)."""
    magnitude, sign = int32(bits & 0x7FFFFFFF), shift_right(bits, 31)
    small = rule.small if magnitude != 0 else int32(0)
    magnitude = small if less(magnitude, _TINY) else magnitude
    below = less(magnitude, rule.first)
    scaled = float_of(magnitude if below else int32(0)) * float_of(rule.up)
    whole = int32(scaled)
    units = int32(whole | (float32(whole) != scaled))
    result, inexact = _cut(units if below else magnitude, sign, rule)
    result = bits_of(float32(result) * float_of(rule.down)) if below else result
    return _finished(result, inexact, magnitude, sign, rule)


@scalar
def _own_nearest(bits, rule):
    """Return the pattern to nearest without flushing."""
    magnitude = int32(bits & 0x7FFFFFFF)
    magnitude = magnitude if less(magnitude, rule.top) else rule.top
    binade = int32(magnitude & _EXPONENT)
    binade = rule.first if less(binade, rule.first) else binade
    # Has the format's last place for its own.
    power = float_of(int32(binade + (rule.shift << 23)))
    result = bits_of((float_of(magnitude) + power) - power)
    result = rule.over if less(rule.largest, result) else result
    return int32(result | (bits & -0x80000000))


@kernel
def round_binary32(a, z, words):
    """Round binary32 patterns, uint32: return whether there are NaNs, whose results mean nothing."""
    rule = Rule(*to_fixed_tuple(words, _FIELDS))
    largest = int32(0)
    if rule.first == 0 and rule.nearest != 0:
        for i in range(z.size):
            bits = int32(a[i])
            z[i] = _shared_nearest(bits, rule)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif rule.first == 0:
        for i in range(z.size):
            bits = int32(a[i])
            z[i], _ = _shared(bits, rule)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif rule.nearest != 0:
        for i in range(z.size):
            bits = int32(a[i])
            z[i] = _own_nearest(bits, rule)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    else:
        for i in range(z.size):
            bits = int32(a[i])
            z[i], _ = _own(bits, rule)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def round_flagged(a, z, flags, words):
    """Do the same, and write the flags."""
    rule = Rule(*to_fixed_tuple(words, _FIELDS))
    largest = int32(0)
    if rule.first == 0:
        for i in range(z.size):
            bits = int32(a[i])
            z[i], flags[i] = _shared(bits, rule)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    else:
        for i in range(z.size):
            bits = int32(a[i])
            z[i], flags[i] = _own(bits, rule)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def round_binary64_to_odd(a, z, flush):
    """Round binary64 patterns, int64, to odd in binary32, from which `round_binary32` then rounds once.

    A magnitude too small for binary32 becomes its smallest, one too large its largest; infinities and NaNs stay.
    """
    limit = _SMALLEST64 if flush else 0.0
    for i in range(z.size):
        number = float64_of(a[i])
        z[i] = binary64_to_odd(number * 0.0 if abs(number) < limit else number)
