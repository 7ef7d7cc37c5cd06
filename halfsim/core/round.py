"""The one rounder: where a result is rounded, overflowed, denormalised, flushed and flagged.

Directions beyond IEEE 754: to odd [@boldo2008], and stochastic [@gupta2015].
"""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.control import STOCHASTIC, Bit, has, random_bits, rounding_mode
from halfsim.core.fields import bit_length
from halfsim.flags import Flags
from halfsim.formats import Specials
from halfsim.rounding import Rounding

__all__ = ["discard", "increment", "overflow_result", "round_pack", "zero"]

_INEXACT = int(Flags.inexact)
_UNDERFLOW = int(Flags.underflow)
_OVERFLOW = int(Flags.overflow)


@scalar
def discard(significand, tail, shift):
    """Cut `shift` low bits off a significand: return (kept, fraction, sticky).

    `tail` holds 32 more bits below the significand, the last of them sticky. `fraction` is the discarded part in
    units of 2**-32 ulp, rounded down; `sticky` is 1 when a nonzero rest lies below that. A negative shift appends zeros
    and needs ``tail == 0``.
    """
    if shift <= 0:
        return significand << -shift, tail, 0
    if shift <= 32:
        mask = (1 << shift) - 1
        fraction = ((significand & mask) << (32 - shift)) | (tail >> shift)
        return significand >> shift, fraction, 1 if tail & mask else 0
    kept = significand >> shift if shift < 63 else 0
    low = significand - (kept << shift) if shift < 63 else significand
    shift -= 32
    if shift >= 63:
        return kept, 0, 1 if low | tail else 0
    fraction = low >> shift
    return kept, fraction, 1 if (low - (fraction << shift)) | tail else 0


@scalar
def increment(control, sign, odd, fraction, sticky, random):
    """Whether a magnitude is rounded away from zero: 1 or 0.

    `odd` is the last kept bit, `fraction` and `sticky` as `discard` returns them, `random` a 32-bit word.
    """
    mode = rounding_mode(control)
    inexact = fraction | sticky != 0
    if mode == Rounding.roundTiesToEven:
        up = fraction > 0x80000000 or (fraction == 0x80000000 and (sticky | odd) != 0)
    elif mode == Rounding.roundTiesToAway:
        up = fraction >= 0x80000000
    elif mode == Rounding.roundTowardPositive:
        up = inexact and sign == 0
    elif mode == Rounding.roundTowardNegative:
        up = inexact and sign != 0
    elif mode == Rounding.roundToOdd:
        up = inexact and odd == 0
    elif mode == STOCHASTIC:
        drop = 32 - random_bits(control)
        up = (fraction >> drop) + (random >> drop) >= 1 << (32 - drop)
    else:
        up = False
    return 1 if up else 0


@scalar
def zero(sign, fields):
    """Return the pattern of a zero."""
    return sign * fields.sign_bit


@scalar
def overflow_result(sign, fields, control):
    """Pattern of an overflowed result (IEEE 754-2019 §7.4): infinity or the largest finite number."""
    mode = rounding_mode(control)
    finite = (
        mode == Rounding.roundTowardZero
        or mode == Rounding.roundToOdd
        or (mode == Rounding.roundTowardPositive and sign != 0)
        or (mode == Rounding.roundTowardNegative and sign == 0)
    )
    if fields.specials != Specials.ieee and has(control, Bit.saturate):
        finite = True
    return sign * fields.sign_bit + (fields.largest if finite else fields.infinity)


@scalar
def round_pack(sign, exponent, significand, tail, fields, control, random):
    """Round (-1)**sign * (significand + tail * 2**-32) * 2**exponent once: return (bits, flags).

    0 <= significand < 2**63 and 0 <= tail < 2**32, whose last bit may be sticky. A nonzero tail needs a significand of
    at least two bits more than the precision. A zero significand gives a zero of the given sign.
    """
    if significand == 0:
        return zero(sign, fields), 0
    leading = exponent + bit_length(significand) - 1
    last = leading - (fields.precision - 1)
    bottom = fields.emin - (fields.precision - 1)
    tiny = leading < fields.emin
    if tiny:
        if not has(control, Bit.tininessBefore) and leading == fields.emin - 1:
            # With unbounded exponent the result may round up to the smallest normal number: then it is not tiny.
            kept, fraction, sticky = discard(significand, tail, last - exponent)
            kept += increment(control, sign, kept & 1, fraction, sticky, random)
            tiny = kept >> fields.precision == 0
        last = bottom
    if tiny and has(control, Bit.flushResults):
        return zero(sign, fields), _UNDERFLOW | (_INEXACT if has(control, Bit.flushInexact) else 0)
    if last - bottom >= fields.largest >> (fields.precision - 1):
        # Beyond the largest exponent, where the pattern of a 64-bit format would leave int64.
        return overflow_result(sign, fields, control), _OVERFLOW | _INEXACT
    kept, fraction, sticky = discard(significand, tail, last - exponent)
    flags = _INEXACT if fraction | sticky else 0
    kept += increment(control, sign, kept & 1, fraction, sticky, random)
    # A carry out of the significand runs into the exponent field, which is what it means.
    magnitude = ((last - bottom) << (fields.precision - 1)) + kept
    if magnitude > fields.largest:
        return overflow_result(sign, fields, control), _OVERFLOW | _INEXACT
    if tiny and flags:
        flags |= _UNDERFLOW
    return sign * fields.sign_bit + magnitude, flags
