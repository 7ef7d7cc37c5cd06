"""Dot products step by step: the fused dot-add block of matrix units, the exact sum, and one step of each recurrence.

The steps are scalars; the loops around them own the arrays. A block of a matrix unit takes two passes over its terms,
one for the status and the largest exponent, one for the sum of the aligned terms; then `finish_block` rounds once.
"""

from __future__ import annotations

from enum import IntEnum

from halfsim.core._jit import scalar
from halfsim.core.arithmetic import add, multiply, subtract, zero_sum_sign
from halfsim.core.fields import Kind, bit_length, is_zero, unpack
from halfsim.core.nan import default_nan
from halfsim.core.philox import draw
from halfsim.core.round import discard, increment, round_pack, zero
from halfsim.flags import Flags

__all__ = [
    "EXACT_BOTTOM",
    "LIMBS",
    "LIMB_BITS",
    "NO_EXPONENT",
    "Status",
    "addend",
    "align",
    "alignment_exponent",
    "carry",
    "compensated_step",
    "finish_block",
    "finish_exact",
    "infinity",
    "is_infinite",
    "is_nan",
    "limb",
    "limb_index",
    "product",
    "sequential_step",
]

_INVALID = int(Flags.invalid)
_OVERFLOW = int(Flags.overflow)

NO_EXPONENT = -(1 << 20)
"""Alignment exponent of a zero term: below all others."""
LIMB_BITS = 30
LIMBS = 10
"""The long accumulator of binary16: 300 bits from 2**-149 upward, ample for 2**31 products and a binary32 addend."""
EXACT_BOTTOM = -149
"""Exponent of its last bit."""


class Status(IntEnum):
    """What has been seen among the terms of a sum, as bits."""

    nan = 1
    plusInfinity = 2
    minusInfinity = 4
    invalid = 8
    notPlusZero = 16
    notMinusZero = 32


_NAN = int(Status.nan)
_PLUS_INFINITY = int(Status.plusInfinity)
_MINUS_INFINITY = int(Status.minusInfinity)
_NOT_PLUS_ZERO = int(Status.notPlusZero)
_NOT_MINUS_ZERO = int(Status.notMinusZero)
_INVALID_OPERATION = int(Status.invalid)


@scalar
def _finite_status(sign, significand):
    if significand:
        return _NOT_PLUS_ZERO | _NOT_MINUS_ZERO
    return _NOT_PLUS_ZERO if sign else _NOT_MINUS_ZERO


@scalar
def addend(c, fields):
    """Return (status, sign, exponent, significand) of C as a term."""
    sign, exponent, significand, kind = unpack(c, fields)
    if kind >= Kind.quietNaN:
        return _NAN | (_INVALID_OPERATION if kind == Kind.signalingNaN else 0), 0, 0, 0
    if kind == Kind.infinite:
        return _MINUS_INFINITY if sign else _PLUS_INFINITY, 0, 0, 0
    return _finite_status(sign, significand), sign, exponent, significand


@scalar
def product(a, b, fields_a, fields_b):
    """Return (status, sign, exponent, significand) of a * b as a term, exact and not normalised."""
    sign_a, exponent_a, significand_a, kind_a = unpack(a, fields_a)
    sign_b, exponent_b, significand_b, kind_b = unpack(b, fields_b)
    sign = sign_a ^ sign_b
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        signaling = kind_a == Kind.signalingNaN or kind_b == Kind.signalingNaN
        return _NAN | (_INVALID_OPERATION if signaling else 0), 0, 0, 0
    if kind_a == Kind.infinite or kind_b == Kind.infinite:
        if is_zero(kind_a, significand_a) or is_zero(kind_b, significand_b):
            return _NAN | _INVALID_OPERATION, 0, 0, 0
        return _MINUS_INFINITY if sign else _PLUS_INFINITY, 0, 0, 0
    significand = significand_a * significand_b
    return _finite_status(sign, significand), sign, exponent_a + exponent_b, significand


@scalar
def alignment_exponent(exponent, significand, point):
    """Exponent by which a term is aligned: that of the digit `point` places above its last; a zero has none."""
    return exponent + point if significand else NO_EXPONENT


@scalar
def align(sign, exponent, significand, unit, control):
    """Return a term as a signed number of units ``2**unit``, cut as the control word says."""
    if significand == 0:
        return 0
    kept, fraction, sticky = discard(significand, 0, unit - exponent)
    kept += increment(control, sign, kept & 1, fraction, sticky, 0)
    return -kept if sign else kept


@scalar
def is_nan(status):
    """Whether the terms seen make a NaN."""
    return status & _NAN != 0 or (status & _PLUS_INFINITY != 0 and status & _MINUS_INFINITY != 0)


@scalar
def is_infinite(status):
    """Whether an infinity is among the terms seen."""
    return status & (_PLUS_INFINITY | _MINUS_INFINITY) != 0


@scalar
def infinity(status, fields):
    """Return the pattern of the infinity seen."""
    return zero(1 if status & _MINUS_INFINITY else 0, fields) + fields.infinity


@scalar
def finish_block(status, total, unit, fields, control, random):
    """Return the result of a block whose aligned terms add up to ``total * 2**unit``.

    Every zero is +0, and an overflow is infinite in every direction of rounding.
    """
    if is_nan(status):
        return default_nan(fields, control)
    if is_infinite(status):
        return infinity(status, fields)
    sign = 1 if total < 0 else 0
    bits, flags = round_pack(sign, unit, -total if sign else total, 0, fields, control, random)
    if flags & _OVERFLOW:
        return zero(sign, fields) + fields.infinity
    return 0 if bits == zero(1, fields) else bits


@scalar
def limb_index(exponent, bottom):
    """Lowest limb of a long accumulator that a term of this exponent touches; the next is the only other one.

    `bottom` is the exponent of the accumulator's last bit, here and below.
    """
    return (exponent - bottom) // LIMB_BITS


@scalar
def limb(sign, exponent, significand, index, bottom):
    """Signed part of a term (significand below 2**24) that falls in limb `index`."""
    shift = exponent - bottom - LIMB_BITS * index
    part = significand << shift if shift >= 0 else significand >> -shift
    part &= (1 << LIMB_BITS) - 1
    return -part if sign else part


@scalar
def carry(value):
    """Split a limb: return (what stays, what goes to the next)."""
    return value & ((1 << LIMB_BITS) - 1), value >> LIMB_BITS


@scalar
def finish_exact(status, sign, top, high, middle, low, sticky, bottom, fields, control, random):
    """Return (bits, flags) of an exact sum.

    `top` is the index of the highest nonzero limb, `high`, `middle` and `low` it and the two below it, `sticky` whether
    anything lies below those; `high` is 0 for a zero sum.
    """
    if is_nan(status):
        # A quiet NaN is passed on silently; a signaling one and the operations that make a NaN are invalid.
        silent = status & _NAN != 0 and status & _INVALID_OPERATION == 0
        return default_nan(fields, control), 0 if silent else _INVALID
    if is_infinite(status):
        return infinity(status, fields), 0
    if high == 0:
        negative = zero_sum_sign(0 if status & _NOT_MINUS_ZERO else 1, 1 if status & _NOT_PLUS_ZERO else 0, control)
        return zero(negative, fields), 0
    # 61 bits of significand: all of `high` and `middle` and the leading bits of `low`; the rest is tail.
    taken = 31 - bit_length(high)
    rest = LIMB_BITS - taken
    significand = (((high << LIMB_BITS) | middle) << taken) | (low >> rest)
    tail = ((low & ((1 << rest) - 1)) << (32 - rest)) | sticky
    exponent = bottom + LIMB_BITS * (top - 2) + rest
    return round_pack(sign, exponent, significand, tail, fields, control, random)


@scalar
def sequential_step(total, a, b, fields, to, control, seed, index, step):
    """Return (total + a * b, flags) with one rounding for the product and one for the sum."""
    term, flags = multiply(a, b, fields, to, control, draw(control, seed, index, step))
    value, more = add(total, term, to, control, draw(control, seed, index, step + 1))
    return value, flags | more


@scalar
def compensated_step(total, error, a, b, fields, to, control, seed, index, step):
    """Return (total, error, flags) of one step of Kahan's recurrence, five roundings."""
    term, flags = multiply(a, b, fields, to, control, draw(control, seed, index, step))
    corrected, more = subtract(term, error, to, control, draw(control, seed, index, step + 1))
    flags |= more
    following, more = add(total, corrected, to, control, draw(control, seed, index, step + 2))
    flags |= more
    gained, more = subtract(following, total, to, control, draw(control, seed, index, step + 3))
    flags |= more
    error, more = subtract(gained, corrected, to, control, draw(control, seed, index, step + 4))
    return following, error, flags | more
