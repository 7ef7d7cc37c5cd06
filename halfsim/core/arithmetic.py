"""Sums and products: add, subtract, multiply and fused multiply-add, each an exact value and one rounding."""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.control import Bit, has, rounding_mode
from halfsim.core.fields import Kind, bit_length, is_zero, unpack
from halfsim.core.nan import choose_nan, default_nan, invalid, pass_nan, signals
from halfsim.core.round import discard, round_pack, zero
from halfsim.flags import Flags
from halfsim.rounding import Rounding

__all__ = ["add", "exact_sum", "fma", "multiply", "nan2", "read", "subtract", "zero_sum_sign"]

_INVALID = int(Flags.invalid)


@scalar
def read(bits, fields, control):
    """Unpack an operand, flushing a subnormal to zero when the control word says so."""
    sign, exponent, significand, kind = unpack(bits, fields)
    if kind == Kind.finite and significand <= fields.fraction_mask and has(control, Bit.flushInputs):
        significand = 0
    return sign, exponent, significand, kind


@scalar
def exact_sum(sign1, exponent1, significand1, sign2, exponent2, significand2):
    """Add two finite values exactly: return (sign, exponent, significand, tail) as `round_pack` takes them.

    Significands are below 2**61. An exactly zero sum has significand 0 and a meaningless sign.
    """
    if significand1 == 0:
        return sign2, exponent2, significand2, 0
    if significand2 == 0:
        return sign1, exponent1, significand1, 0
    shift = 61 - bit_length(significand1)
    exponent1 -= shift
    significand1 <<= shift
    shift = 61 - bit_length(significand2)
    exponent2 -= shift
    significand2 <<= shift
    if exponent2 > exponent1 or (exponent1 == exponent2 and significand2 > significand1):
        sign1, exponent1, significand1, sign2, exponent2, significand2 = (
            sign2,
            exponent2,
            significand2,
            sign1,
            exponent1,
            significand1,
        )
    low, fraction, sticky = discard(significand2, 0, exponent1 - exponent2)
    tail = fraction | sticky
    if sign1 == sign2:
        return sign1, exponent1, significand1 + low, tail
    if tail:
        return sign1, exponent1, significand1 - low - 1, 0x100000000 - tail
    return sign1, exponent1, significand1 - low, 0


@scalar
def zero_sum_sign(sign1, sign2, control):
    """Sign of an exactly zero sum of terms with these signs (IEEE 754-2019 §6.3)."""
    if sign1 == sign2:
        return sign1
    return 1 if rounding_mode(control) == Rounding.roundTowardNegative else 0


@scalar
def nan2(a, kind_a, b, kind_b, fields, to, control):
    """Return (bits, flags) in `to` of an operation on two operands of `fields`, of which at least one is a NaN."""
    chosen = choose_nan(kind_a, kind_b, Kind.finite, control)
    flags = signals(kind_a, kind_b, Kind.finite)
    if chosen == 0:
        return default_nan(to, control), flags
    sign, _, fraction, _ = unpack(a if chosen == 1 else b, fields)
    return pass_nan(sign, fraction, fields, to), flags


@scalar
def _add(a, b, negate, fields, control, random):
    sign_a, exponent_a, significand_a, kind_a = read(a, fields, control)
    sign_b, exponent_b, significand_b, kind_b = read(b, fields, control)
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        return nan2(a, kind_a, b, kind_b, fields, fields, control)
    sign_b ^= negate
    if kind_a == Kind.infinite or kind_b == Kind.infinite:
        if kind_a == kind_b and sign_a != sign_b:
            return invalid(fields, control)
        return zero(sign_a if kind_a == Kind.infinite else sign_b, fields) + fields.infinity, 0
    sign, exponent, significand, tail = exact_sum(sign_a, exponent_a, significand_a, sign_b, exponent_b, significand_b)
    if significand == 0:
        sign = zero_sum_sign(sign_a, sign_b, control)
    return round_pack(sign, exponent, significand, tail, fields, control, random)


@scalar
def add(a, b, fields, control, random):
    """Return (bits, flags) of a + b; operands and result in one format."""
    return _add(a, b, 0, fields, control, random)


@scalar
def subtract(a, b, fields, control, random):
    """Return (bits, flags) of a - b; a NaN operand keeps its sign."""
    return _add(a, b, 1, fields, control, random)


@scalar
def multiply(a, b, fields, to, control, random):
    """Return (bits, flags) of a * b, operands in `fields` (precision at most 31), result in `to`."""
    sign_a, exponent_a, significand_a, kind_a = read(a, fields, control)
    sign_b, exponent_b, significand_b, kind_b = read(b, fields, control)
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        return nan2(a, kind_a, b, kind_b, fields, to, control)
    sign = sign_a ^ sign_b
    if kind_a == Kind.infinite or kind_b == Kind.infinite:
        if is_zero(kind_a, significand_a) or is_zero(kind_b, significand_b):
            return invalid(to, control)
        return zero(sign, to) + to.infinity, 0
    return round_pack(sign, exponent_a + exponent_b, significand_a * significand_b, 0, to, control, random)


@scalar
def _fma_nan(a, kind_a, b, kind_b, c, kind_c, fields, to, control):
    """Return (bits, flags) of an fma with a NaN operand, the case infinity * 0 + NaN excepted."""
    if has(control, Bit.addendFirst):
        chosen = choose_nan(kind_c, kind_a, kind_b, control)
        chosen = 3 if chosen == 1 else chosen - 1 if chosen else 0
    else:
        chosen = choose_nan(kind_a, kind_b, kind_c, control)
    flags = signals(kind_a, kind_b, kind_c)
    if chosen == 0:
        return default_nan(to, control), flags
    if chosen == 3:
        sign, _, fraction, _ = unpack(c, to)
        return pass_nan(sign, fraction, to, to), flags
    sign, _, fraction, _ = unpack(a if chosen == 1 else b, fields)
    return pass_nan(sign, fraction, fields, to), flags


@scalar
def fma(a, b, c, fields, to, control, random):
    """Return (bits, flags) of a * b + c rounded once; a, b in `fields` (precision at most 30), c and result in `to`."""
    sign_a, exponent_a, significand_a, kind_a = read(a, fields, control)
    sign_b, exponent_b, significand_b, kind_b = read(b, fields, control)
    sign_c, exponent_c, significand_c, kind_c = read(c, to, control)
    zero_times_infinity = (kind_a == Kind.infinite and is_zero(kind_b, significand_b)) or (
        kind_b == Kind.infinite and is_zero(kind_a, significand_a)
    )
    if zero_times_infinity and (
        kind_c < Kind.quietNaN or (kind_c == Kind.quietNaN and has(control, Bit.infTimesZeroInvalid))
    ):
        return invalid(to, control)
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN or kind_c >= Kind.quietNaN:
        return _fma_nan(a, kind_a, b, kind_b, c, kind_c, fields, to, control)
    sign = sign_a ^ sign_b
    if kind_a == Kind.infinite or kind_b == Kind.infinite:
        if kind_c == Kind.infinite and sign_c != sign:
            return invalid(to, control)
        return zero(sign, to) + to.infinity, 0
    if kind_c == Kind.infinite:
        return zero(sign_c, to) + to.infinity, 0
    product = significand_a * significand_b
    total_sign, exponent, significand, tail = exact_sum(
        sign, exponent_a + exponent_b, product, sign_c, exponent_c, significand_c
    )
    if significand == 0:
        total_sign = zero_sum_sign(sign, sign_c, control)
    return round_pack(total_sign, exponent, significand, tail, to, control, random)
