"""What a control word means for the loops of `halfsim.kernels.narrowing`, as numbers in an array."""

from __future__ import annotations

import struct
from functools import lru_cache
from math import ldexp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim._state import default_state
from halfsim.core._inlined import interpreted
from halfsim.core.control import STOCHASTIC, Bit, has, rounding_mode
from halfsim.core.fields import layout
from halfsim.core.round import overflow_result
from halfsim.flags import Flags
from halfsim.formats import BINARY32, Format, Specials
from halfsim.kernels.simd import INFINITY
from halfsim.rounding import Rounding

__all__ = ["SMALLEST", "Rule", "make_rule", "takes"]

SMALLEST = 1 << 23
"""Smallest normal pattern of binary32: what is smaller rounds as it does, where no format has numbers."""
_NAN = 0x7FC00000


class Rule(NamedTuple):
    """What a control word means for a format, int32; `flip` members change a value for negative results."""

    way: int
    """1 if the format has subnormal numbers of its own, not those of binary32.

    And 2 more if rounding is to nearest, or symmetric, and nothing is flushed, so that a shorter way is enough.
    """
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
    """What smaller operands but zeros become: `SMALLEST`, or 0 if they are flushed."""
    first: int
    """Smallest normal number of a format with subnormal numbers of its own,"""
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
@default_state()
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
        way=int(own) + 2 * int(nearest),
        shift=shift,
        mask=-1 << shift,
        away=positive,
        away_flip=positive ^ negative,
        even=even,
        odd=1 << shift if mode == Rounding.roundToOdd else 0,
        small=0 if flush_inputs else SMALLEST,
        first=_pattern(target.smallest_normal) if own else 0,
        up=_pattern(ldexp(1.0, 23 - target.emin)) if own else 0,
        down=_pattern(ldexp(1.0, target.emin - 23)) if own else 0,
        tiny=tiny,
        tiny_flip=tiny ^ tiny_negative,
        normal=_pattern(target.smallest_normal),
        flushed=_pattern(target.smallest_normal) if flushes else 0,
        alone=int(not _has(control, Bit.flushInexact)),
        top=_pattern(ldexp(1.0, target.emax + 1)) if target.emax < 127 else INFINITY,
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
