"""What designs with a mistake in their arithmetic give, on bit patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import halfsim as hs
from halfsim.core.fields import layout
from halfsim.flags import Flags
from halfsim.rounding import Rounding
from halfsim.testvectors.patterns import FORMATS, patterns, values
from halfsim.testvectors.setting import Results, Setting, Words
from halfsim.testvectors.subjects import subject

__all__ = [
    "EXACT",
    "delivered_underflow",
    "flushed_to_plus_zero",
    "fmod",
    "fused_in_binary32",
    "infinite",
    "negated",
    "other_zero",
    "rounded_twice",
    "saturated",
    "through_binary32",
    "turned_overflow",
    "unfused",
    "wrapped",
    "zeroed",
]

EXACT = ("multiply", "convert_f32_f16", "convert_f64_f16")
"""Operations whose exact result binary64 holds."""


def unfused(setting: Setting, operands: Sequence[Words]) -> Results:
    """Round the product, then the sum."""
    product, raised = replace(setting, subject=subject("multiply")).evaluate(operands[:2])
    total, more = replace(setting, subject=subject("add")).evaluate([product, operands[2]])
    return total, raised | more


def negated(setting: Setting, operands: Sequence[Words], signs: Sequence[int]) -> Results:
    """Turn signs of operands round."""
    return setting.evaluate([words ^ words.dtype.type(sign) for words, sign in zip(operands, signs, strict=True)])


def through_binary32(setting: Setting, operands: Sequence[Words]) -> Results:
    """Convert to binary32 on the way."""
    settings: dict[str, Any] = {"rounding": setting.rounding, "environment": setting.environment}
    wide, raised = hs.convert.flagged(operands[0].astype(np.uint64).view(np.float64), hs.BINARY32, **settings)
    narrow, more = subject("convert_f32_f16").evaluate([wide.view(np.uint32)], **settings)
    return narrow, (raised & np.uint8(Flags.inexact | Flags.invalid)) | more


def fused_in_binary32(setting: Setting, operands: Sequence[Words]) -> Results:
    """Fuse in binary32, to nearest even, and round its result to binary16."""
    result, raised = setting.evaluate(operands)
    a, b, c = (values(words, "f16").astype(np.float64) for words in operands)
    with np.errstate(all="ignore"):
        # Products are exact in binary64; what a sum loses makes its last bit odd, so that later roundings are right.
        product = a * b
        total = product + c
        back = total - product
        lost = (product - (total - back)) + (c - back)
    finite = np.isfinite(total) & (total != 0)
    odd = finite & (lost != 0) & ((total.view(np.int64) & 1) == 0)
    outward = (lost > 0) == (total > 0)
    word = total.view(np.int64) + np.where(odd, np.where(outward, 1, -1), 0)
    settings: dict[str, Any] = {"rounding": Rounding.roundTiesToEven, "environment": setting.environment}
    wide, first = hs.convert.flagged(word.view(np.float64), hs.BINARY32, **settings)
    narrow, second = subject("convert_f32_f16").evaluate(
        [wide.view(np.uint32)], **settings | {"rounding": setting.rounding}
    )
    flags = (first & np.uint8(Flags.inexact)) | second
    return np.where(finite, narrow, result), np.where(finite, flags, raised)


def flushed_to_plus_zero(setting: Setting, operands: Sequence[Words]) -> Results:
    """Replace tiny results by zero, whatever their sign."""
    kept, flushed = (
        replace(setting, environment=replace(setting.environment, flush_results=flush)) for flush in (False, True)
    )
    (whole, _), (result, raised) = kept.evaluate(operands), flushed.evaluate(operands)
    return np.where(whole != result, result.dtype.type(0), result), raised


def rounded_twice(setting: Setting, operands: Sequence[Words]) -> Results:
    """Round to 11 bits with unbounded exponents, then to binary16 with its subnormal numbers."""
    result, raised = setting.evaluate(operands)
    given = [values(words, kind) for words, kind in zip(operands, setting.subject.operands, strict=True)]
    with np.errstate(all="ignore"):
        exact = np.multiply.reduce([x.astype(np.float64) for x in given])
    fraction, exponent = np.frexp(exact)
    settings: dict[str, Any] = {"rounding": setting.rounding, "environment": setting.environment}
    short, first = hs.convert.flagged(fraction, hs.BINARY16, **settings)
    again = np.ldexp(short.astype(np.float64), exponent)
    twice, second = hs.convert.flagged(again, hs.BINARY16, **settings)
    finite = np.isfinite(exact) & (exact != 0)
    flags = (first & np.uint8(Flags.inexact)) | second
    return np.where(finite, patterns(twice, "f16"), result), np.where(finite, flags, raised)


def fmod(setting: Setting, operands: Sequence[Words]) -> Results:
    """Take the remainder of the quotient rounded toward zero; binary64 holds it."""
    result, raised = setting.evaluate(operands)
    x, y = (values(words, "f16") for words in operands)
    with np.errstate(all="ignore"):
        left = np.fmod(x.astype(np.float64), y.astype(np.float64)).astype(np.float16)
    return np.where(np.isnan(left), result, patterns(left, "f16")), raised


def saturated(setting: Setting, operands: Sequence[Words]) -> Results:
    """Deliver the largest number on overflow."""
    result, raised = setting.evaluate(operands)
    fields = layout(FORMATS[setting.subject.result])
    infinite = (result & result.dtype.type((1 << fields.sign_shift) - 1)) == fields.infinity
    overflow = infinite & ((raised & np.uint8(Flags.overflow)) != 0)
    return np.where(overflow, result - result.dtype.type(1), result), raised


def infinite(setting: Setting, operands: Sequence[Words]) -> Results:
    """Deliver infinity on overflow, whatever the direction."""
    result, raised = setting.evaluate(operands)
    fields = layout(FORMATS[setting.subject.result])
    largest = (result & result.dtype.type((1 << fields.sign_shift) - 1)) == fields.largest
    overflow = largest & ((raised & np.uint8(Flags.overflow)) != 0) & (fields.largest != fields.infinity)
    return np.where(overflow, result + result.dtype.type(1), result), raised


def turned_overflow(setting: Setting, operands: Sequence[Words]) -> Results:
    """Deliver infinity where the largest number is right on overflow, and the other way round."""
    result, raised = setting.evaluate(operands)
    never, always = saturated(setting, operands)[0], infinite(setting, operands)[0]
    return np.where(never != result, never, always), raised


def other_zero(setting: Setting, operands: Sequence[Words], other: Rounding) -> Results:
    """Give zeros the sign that they have in another direction."""
    result, raised = setting.evaluate(operands)
    turned, _ = replace(setting, rounding=other).evaluate(operands)
    magnitude = result.dtype.type((1 << layout(FORMATS[setting.subject.result]).sign_shift) - 1)
    return np.where((result & magnitude == 0) & (turned & magnitude == 0), turned, result), raised


def zeroed(setting: Setting, operands: Sequence[Words]) -> Results:
    """Replace subnormal results by zero of the same sign and leave the flags."""
    result, raised = setting.evaluate(operands)
    fields = layout(FORMATS[setting.subject.result])
    magnitude = result & result.dtype.type((1 << fields.sign_shift) - 1)
    return np.where(magnitude <= fields.fraction_mask, result ^ magnitude, result), raised


def delivered_underflow(setting: Setting, operands: Sequence[Words]) -> Results:
    """Raise underflow if the delivered result is inexact and below the smallest normal number."""
    result, raised = setting.evaluate(operands)
    fields = layout(FORMATS[setting.subject.result])
    below = (result & result.dtype.type((1 << fields.sign_shift) - 1)) <= fields.fraction_mask
    underflow = np.uint8(Flags.underflow)
    return result, np.where(below, raised, raised & ~underflow)


def wrapped(setting: Setting, operands: Sequence[Words]) -> Results:
    """Keep the low bits of the conversion to 64 bits."""
    wide = subject(f"convert_{setting.subject.operands[0]}_i64")
    whole, raised = replace(setting, subject=wide).evaluate(operands)
    return whole.astype(f"u{int(setting.subject.result.lstrip('ui')) // 8}"), raised
