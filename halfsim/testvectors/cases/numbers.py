"""Values of a type at the places where arithmetic goes wrong: exponents and significands, corner by corner."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core.fields import Layout, layout
from halfsim.testvectors.cases.family import Words, unsigned
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import FORMATS

__all__ = ["both_signs", "corners", "few", "is_float", "nans", "pack", "subnormals", "zeros"]


def is_float(kind: str) -> bool:
    """Whether a type is a floating-point format."""
    return kind in FORMATS


def _fields(kind: str) -> Layout:
    return layout(FORMATS[kind])


def pack(kind: str, exponent: Any, fraction: Any) -> Words:
    """Return positive patterns of biased exponents and fractions."""
    fields = _fields(kind)
    shift = np.uint64(fields.precision - 1)
    words: NDArray[np.uint64] = np.asarray(exponent, np.uint64) << shift | np.asarray(fraction, np.uint64)
    return words.astype(unsigned(kind))


def both_signs(kind: str, words: Words) -> Words:
    """Return patterns and the same with the other sign."""
    sign = words.dtype.type(1 << (TYPES[kind] - 1))
    return np.concatenate([words, words ^ sign])


@lru_cache(maxsize=64)
def _exponents(kind: str, level: int) -> NDArray[np.int64]:
    """Biased exponents: the ends, about one, and about what is a precision, or the reach of binary16, away from it."""
    fields = _fields(kind)
    bias, top = 1 - fields.emin, fields.exponent_mask - (1 if fields.infinity > fields.largest else 0)
    precision = min(fields.precision, 11)
    near = (0, 1, precision, -precision) if level == 1 else (0, 1, 2, 3, precision - 1, precision, precision + 1)
    offsets = {sign * step for step in near for sign in (1, -1)} | {-14, -15, -24, -25, 15, 16}
    found = {0, 1, 2, top - 1, top} | {bias + offset for offset in offsets}
    return np.array(sorted(exponent for exponent in found if 0 <= exponent <= top), np.int64)


@lru_cache(maxsize=64)
def _fractions(kind: str, level: int) -> NDArray[np.uint64]:
    """Fractions: zeros and ones, one bit set, one bit clear; at level 2 also every run of ones at either end."""
    bits = _fields(kind).precision - 1
    mask = (1 << bits) - 1
    places = (
        range(bits) if level > 1 else sorted({0, 1, bits - 1, max(bits - 10, 0), max(bits - 11, 0)} & {*range(bits)})
    )
    found = {0, mask} | {1 << place for place in places} | {mask ^ 1 << place for place in places}
    if level > 1:
        found |= {mask >> place for place in range(bits)} | {mask & ~(mask >> place) for place in range(bits)}
    return np.array(sorted(found), np.uint64)


@lru_cache(maxsize=64)
def corners(kind: str, level: int) -> Words:
    """Return every corner exponent with every corner fraction, both signs, infinities and some NaNs; or integers."""
    if not is_float(kind):
        return _integers(kind)
    exponents, fractions = _exponents(kind, level), _fractions(kind, level)
    finite = pack(kind, np.repeat(exponents, len(fractions)), np.tile(fractions, len(exponents)))
    fields = _fields(kind)
    finite = finite[finite <= fields.largest]
    top = [fields.infinity] if fields.infinity > fields.largest else []
    return np.unique(both_signs(kind, np.concatenate([finite, np.array(top, finite.dtype), nans(kind)[:2]])))


@lru_cache(maxsize=64)
def few(kind: str) -> Words:
    """Return the most telling corners: some thirty values, for operations of three operands."""
    if not is_float(kind):
        return _integers(kind)
    fields = _fields(kind)
    bias, one = 1 - fields.emin, 1
    mask = fields.fraction_mask
    pairs = [
        (0, 0), (0, one), (0, mask), (1, 0), (1, one), (bias - fields.precision, 0), (bias - 1, mask), (bias, 0),
        (bias, one), (bias, mask), (bias + 1, 0), (bias + fields.precision, 0),
    ]  # fmt: skip
    exponents, fractions = zip(*((e, f) for e, f in pairs if 0 <= e < fields.exponent_mask), strict=True)
    finite = pack(kind, exponents, fractions)
    top = np.array([fields.largest, *([fields.infinity] if fields.infinity > fields.largest else [])], finite.dtype)
    return np.unique(np.concatenate([both_signs(kind, np.concatenate([finite, top])), nans(kind)[:2]]))


def nans(kind: str) -> Words:
    """Return quiet and signaling NaNs with the ends of their payloads, positive; a quiet and a signaling one first."""
    fields = _fields(kind)
    word = unsigned(kind)
    if fields.infinity <= fields.largest:
        return np.empty(0, word)
    if fields.precision < 3 or fields.infinity == (1 << fields.sign_shift) - 1:
        return np.array([fields.infinity], word)
    quiet = 1 << (fields.precision - 2)
    payloads = [quiet, 1, quiet | 1, quiet - 1, fields.fraction_mask, quiet >> 1, quiet | quiet >> 1]
    return np.array([fields.infinity | payload for payload in dict.fromkeys(payloads) if payload], word)


def zeros(kind: str) -> Words:
    """Return both zeros, or the zero."""
    return both_signs(kind, np.zeros(1, unsigned(kind))) if is_float(kind) else np.zeros(1, unsigned(kind))


def subnormals(kind: str) -> Words:
    """Return subnormal corners of both signs."""
    fractions = _fractions(kind, 2)
    return both_signs(kind, fractions[fractions > 0].astype(unsigned(kind)))


@lru_cache(maxsize=64)
def _integers(kind: str) -> Words:
    """Return powers of two, their neighbours and their negatives, and the ends of the type."""
    width = TYPES[kind]
    powers = [1 << place for place in range(width)]
    found = {0, 3, 65504, 65519, 65520, 65521, 65535} | {power + step for power in powers for step in (-1, 0, 1)}
    found |= {-value for value in found}
    return np.array(sorted({value % (1 << width) for value in found}), np.uint64).astype(unsigned(kind))
