"""Rounding in 64-bit lanes, free of branches: a binary64 number to any format of up to 24 bits, in any way.

The number becomes a pattern of the format with more bits behind it, `Rule.extra` of them. What is added there carries
into the pattern as rounding asks, and out of the significand into the exponent, which is what a carry means.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import int64

from halfsim.core._jit import inlined, scalar
from halfsim.core.control import STOCHASTIC, Bit, has, random_bits, rounding_mode
from halfsim.core.fields import larger, smaller
from halfsim.core.round import overflow_result
from halfsim.kernels.simd import bits64_of
from halfsim.rounding import Rounding

__all__ = ["INFINITY", "MAGNITUDE", "Rule", "make_random_rule", "make_rule", "rounded", "sum_to_odd"]

MAGNITUDE = (1 << 63) - 1
INFINITY = 0x7FF << 52
"""binary64 pattern of infinity; a larger magnitude is a NaN."""
_FRACTION = (1 << 52) - 1
_WORD = 0xFFFFFFFF


class Rule(NamedTuple):
    """What a control word means for one format."""

    fraction: int
    """Bits of a significand without the leading one."""
    extra: int
    """Bits behind a pattern: 32, as random words have, or as many as there are."""
    smallest: int
    """Biased binary64 exponent of the smallest normal number."""
    top: int
    """The one above the largest, where larger ones are cut."""
    away: int
    """Added behind the pattern when the sign is positive; the random word is instead where `random` is set."""
    away_flip: int
    """Changes `away` when the sign is negative."""
    even: int
    """1 if ties go to even: the last bit of the pattern is added too."""
    odd: int
    """1 if an inexact result gets its last bit set."""
    random: int
    """The bits of a random word that are used; 0 if rounding is deterministic."""
    used: int
    """The bits of a number that decide."""
    after: int
    """All ones if results are tiny that are so after rounding, 0 if before."""
    flush: int
    """1 if tiny results become zero, 2 if they then raise underflow alone."""
    largest: int
    over: int
    """Pattern of an overflowed positive result."""
    over_flip: int
    sign_shift: int


@scalar
def sum_to_odd(a, b):
    """Return the binary64 pattern of a + b rounded to odd, as `simd.sumsum_to_odd` does in binary32."""
    total = a + b
    rest = total - a
    error = (a - (total - rest)) + (b - rest)
    bits = bits64_of(total)
    odd = (bits + ((bits64_of(error) ^ bits) >> 63)) | 1
    return odd if (error > 0.0) | (error < 0.0) else bits


@scalar
def _rule(control, to, extra, positive, negative, even, odd, used, random, over, over_negative):
    fraction = to.precision - 1
    return Rule(
        fraction,
        extra,
        1023 + to.emin,
        1023 + to.emin + (to.largest >> fraction),
        positive,
        positive ^ negative,
        even,
        odd,
        random & used,
        used,
        0 if has(control, Bit.tininessBefore) else -1,
        (1 if has(control, Bit.flushInexact) else 2) if has(control, Bit.flushResults) else 0,
        to.largest,
        over,
        over ^ (over_negative & ((1 << to.sign_shift) - 1)),
        to.sign_shift,
    )


@scalar
def make_rule(control, to):
    """Read a control word for a format of at most 24 bits, of at most 20 if rounding is stochastic."""
    mode = rounding_mode(control)
    extra = 52 - to.precision if to.precision > 20 else 32
    below_half = (1 << (extra - 1)) - 1
    positive = 0
    negative = 0
    if mode == Rounding.roundTiesToEven:
        positive = negative = below_half
    elif mode == Rounding.roundTiesToAway:
        positive = negative = below_half + 1
    elif mode == Rounding.roundTowardPositive:
        positive = 2 * below_half + 1
    elif mode == Rounding.roundTowardNegative:
        negative = 2 * below_half + 1
    even, odd = 1 if mode == Rounding.roundTiesToEven else 0, 1 if mode == Rounding.roundToOdd else 0
    used, random = -1, 0
    if mode == STOCHASTIC:
        used, random = _used(control), _WORD
    over, over_negative = overflow_result(0, to, control), overflow_result(1, to, control)
    return _rule(control, to, extra, positive, negative, even, odd, used, random, over, over_negative)


@scalar
def make_random_rule(control, to):
    """Read a control word with stochastic rounding as `make_rule` does, for an IEEE format of at most 20 bits.

    Compilers see what such a rounding does not do.
    """
    infinite = to.sign_bit + to.infinity
    return _rule(control, to, 32, 0, 0, 0, 0, _used(control), _WORD, to.infinity, infinite)


@scalar
def _used(control):
    return -1 << (32 - random_bits(control))


@inlined
def rounded(bits, word, rule):
    """Round a binary64 pattern, exact or as good, by a random word: return (pattern, flags).

    "As good" are the same bits that `Rule.extra` counts and the same stickiness below. An infinity raises nothing and
    gives the pattern above the largest number, a NaN the one above that: in IEEE formats an infinity and a NaN.
    """
    magnitude = bits & MAGNITUDE
    sign = (bits >> 63) & 1
    exponent = magnitude >> 52
    below = larger(rule.smallest - exponent, 0)
    significand = (magnitude & _FRACTION) | (1 << 52) if exponent > 0 else magnitude
    drop = 52 - rule.fraction - rule.extra
    shift = smaller(drop + below, 63)
    kept = significand >> shift
    sticky = kept << shift != significand
    fixed = kept + ((smaller(exponent, rule.top) + below - rule.smallest) << (rule.fraction + rule.extra))
    inexact = sticky | (fixed & ((1 << rule.extra) - 1) != 0)
    # Stickiness decides directed rounding, and between a tie and more; a random word is compared without it.
    fixed = (fixed | (1 if sticky & (rule.random == 0) else 0)) & rule.used
    away = (rule.away ^ (rule.away_flip & -sign)) + (word & rule.random)
    result = (fixed + away + ((fixed >> rule.extra) & rule.even)) >> rule.extra
    result = result | rule.odd if inexact else result
    # The same with an unbounded exponent, of which the field goes below zero.
    unbounded = (magnitude >> drop) - ((rule.smallest - 1) << (rule.fraction + rule.extra))
    lost = magnitude & ((1 << drop) - 1) != 0
    unbounded = (unbounded | (1 if lost & (rule.random == 0) else 0)) & rule.used
    carried = unbounded + ((away + ((unbounded >> rule.extra) & rule.even)) & rule.after)
    tiny = (carried >> rule.extra < 1 << rule.fraction) & (magnitude != 0)
    flushed = tiny & (rule.flush != 0)
    over = result > rule.largest
    result = rule.over ^ (rule.over_flip & -sign) if over else result
    result = 0 if flushed else result
    inexact = inexact | flushed | over
    flags = (1 if inexact else 0) | (2 if tiny & inexact else 0) | (4 if over else 0)
    flags = 2 if flushed & (rule.flush == 2) else flags
    special = magnitude >= INFINITY
    result = rule.largest + (2 if magnitude > INFINITY else 1) if special else result
    flags = 0 if special else flags
    return int64(result | (sign << rule.sign_shift)), flags
