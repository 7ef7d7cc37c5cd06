"""Dot products of AMD's matrix units: operands that are flushed, and a sum in two stages.

The blocks take the terms, the alignment and the exact sum of `halfsim.core.dot`; here is what only they do. The rules
are those of MMA-Sim [@mmasim2025].
"""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.arithmetic import zero_sum_sign
from halfsim.core.control import Bit, has
from halfsim.core.dot import Status, align, infinity, is_infinite, is_nan, product
from halfsim.core.fields import Kind, bit_length, unpack
from halfsim.core.nan import default_nan
from halfsim.core.round import round_pack

__all__ = ["bounded_product", "finish_stages", "flushed", "join", "normalised", "rounded_product"]

_PLUS_INFINITY = int(Status.plusInfinity)
_MINUS_INFINITY = int(Status.minusInfinity)


@scalar
def flushed(bits, fields, control):
    """Return an operand as the unit reads it: +0 for zeros and subnormals of either sign, if it flushes them."""
    if has(control, Bit.flushInputs):
        _, _, significand, kind = unpack(bits, fields)
        if kind == Kind.finite and significand <= fields.fraction_mask:
            return 0
    return bits


@scalar
def rounded_product(a, b, left, right, to, control):
    """Return a * b, flushed before and after as the control word says, as a number of `to`."""
    status, sign, exponent, significand = product(flushed(a, left, control), flushed(b, right, control), left, right)
    if is_nan(status):
        return default_nan(to, control)
    if is_infinite(status):
        return infinity(status, to)
    bits, _ = round_pack(sign, exponent, significand, 0, to, control, 0)
    return bits


@scalar
def bounded_product(a, b, left, right, to):
    """Return a * b as a term (status, sign, exponent, significand); what exceeds the exponents of `to` is infinite."""
    status, sign, exponent, significand = product(a, b, left, right)
    largest = to.emin - 1 + (to.largest >> (to.precision - 1))
    if significand and exponent + bit_length(significand) - 1 > largest:
        return _MINUS_INFINITY if sign else _PLUS_INFINITY, 0, 0, 0
    return status, sign, exponent, significand


@scalar
def join(products, unit, sign, exponent, significand, common, product_bits, addend_bits, cut):
    """Add C to the sum of products, ``products * 2**unit``: return (total, unit of the total).

    Both are cut first, to `product_bits` and `addend_bits` fraction bits below the exponent `common`.
    """
    negative = 1 if products < 0 else 0
    first = align(negative, unit, -products if negative else products, common - product_bits, cut)
    second = align(sign, exponent, significand, common - addend_bits, cut)
    if product_bits >= addend_bits:
        return first + (second << (product_bits - addend_bits)), common - product_bits
    return (first << (addend_bits - product_bits)) + second, common - addend_bits


@scalar
def normalised(total, unit, fraction_bits, to, cut):
    """Cut ``total * 2**unit`` below its leading digit, or that of the smallest normal number: return (total, unit)."""
    negative = 1 if total < 0 else 0
    magnitude = -total if negative else total
    leading = unit + bit_length(magnitude) - 1
    target = (leading if leading > to.emin else to.emin) - fraction_bits
    if magnitude == 0 or target <= unit:
        return total, unit
    return align(negative, unit, magnitude, target, cut), target


@scalar
def finish_stages(status, total, unit, fields, control, random):
    """Return ``total * 2**unit`` rounded, or what the special terms of the block make."""
    if is_nan(status):
        return default_nan(fields, control)
    if is_infinite(status):
        return infinity(status, fields)
    sign = 1 if total < 0 else 0
    if total == 0:
        sign = zero_sum_sign(0, 1, control)
    bits, _ = round_pack(sign, unit, -total if total < 0 else total, 0, fields, control, random)
    return bits
