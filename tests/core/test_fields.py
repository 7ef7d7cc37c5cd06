"""Unpacking against the rational decoder, exhaustively where 2**16 patterns are all there are."""

from __future__ import annotations

import numpy as np
import pytest

from halfsim.core.fields import F16, Kind, bit_length, is_zero, layout, unpack
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32, Format, Specials
from tests.oracles import corners, rational

ARM_ALTERNATIVE = Format("alternative half", 16, 11, -14, 16, Specials.none)
KINDS = {"finite": Kind.finite, "infinite": Kind.infinite, "quiet": Kind.quietNaN, "signaling": Kind.signalingNaN}


def _check(bits, fmt):
    fields = layout(fmt)
    word = bits - (1 << 64) if bits >> 63 else bits
    sign, exponent, significand, kind = unpack(word, fields)
    want = rational.decode(bits, fmt)
    assert kind == KINDS[want.kind], hex(bits)
    assert sign == want.sign, hex(bits)
    if want.kind == "finite":
        assert significand * rational._power(exponent) == want.magnitude, hex(bits)
        assert is_zero(kind, significand) == want.is_zero
    elif want.is_nan:
        assert significand == want.payload


@pytest.mark.parametrize("fmt", [E5M2, E4M3, Format("E2M1", 4, 2, 0, 2, Specials.none)], ids=lambda f: f.name)
def test_unpack_every_pattern_of_a_small_format(fmt):
    for bits in range(1 << fmt.width):
        _check(bits, fmt)


def test_unpack_every_binary16():
    for bits in range(65536):
        _check(bits, BINARY16)


@pytest.mark.parametrize("fmt", [BFLOAT16, TF32, BINARY32, BINARY64, ARM_ALTERNATIVE], ids=lambda f: f.name)
def test_unpack_corners_and_random(fmt):
    (random,) = corners.random_patterns(500, 1, seed=5, width=min(fmt.width, 63))
    for bits in np.concatenate([corners.patterns(fmt), random]):
        _check(int(bits), fmt)


@pytest.mark.parametrize("fmt", [BINARY16, BFLOAT16, TF32, BINARY32, BINARY64, E5M2, E4M3], ids=lambda f: f.name)
def test_layout_names_the_extremes(fmt):
    fields = layout(fmt)
    assert fields.largest == rational.largest(0, fmt)
    assert fields.infinity == rational.infinity(0, fmt)
    assert fields.sign_bit % 2**64 == (1 << (fmt.width - 1)) * (2**64 - 1 if fmt.width == 64 else 1) % 2**64
    assert float(rational.decode(fields.largest, fmt).magnitude) == fmt.largest
    assert float(rational.decode(1, fmt).magnitude) == fmt.smallest_subnormal


def test_binary16_layout_constants():
    assert F16.largest == 0x7BFF
    assert F16.infinity == 0x7C00
    assert F16.sign_bit == 0x8000


def test_bit_length():
    values = {0} | {(1 << n) + d for n in range(63) for d in (-1, 0, 1)} - {1 << 63}
    for value in sorted(values):
        assert bit_length(value) == value.bit_length()
