"""Sign-bit operations of every input: one bit changes, no flag is raised, NaNs pass as they are."""

from __future__ import annotations

import numpy as np

import halfsim as hs
from halfsim.core import sign
from halfsim.core.fields import layout
from halfsim.formats import BINARY64

EVERY = np.arange(65536, dtype=np.uint64)


def test_sign_operations_of_every_input():
    x = hs.from_bits(EVERY)
    np.testing.assert_array_equal(hs.to_bits(hs.negative(x)), EVERY ^ 0x8000)
    np.testing.assert_array_equal(hs.to_bits(hs.absolute(x)), EVERY & 0x7FFF)
    for other in (0x0000, 0x8000, 0xFC01, 0x7E00):
        got = hs.to_bits(hs.copysign(x, hs.from_bits(other)))
        np.testing.assert_array_equal(got, (EVERY & 0x7FFF) | (other & 0x8000))


def test_sign_operations_of_64_bit_patterns():
    """The sign bit of a 64-bit format is the sign of the int64 that holds it."""
    fields = layout(BINARY64)
    for magnitude in (0, 1, 0x3FF0_0000_0000_0000, 0x7FF8_0000_0000_0001, 2**63 - 1):
        negative = magnitude - 2**63
        assert [sign.signbit(x, fields) for x in (magnitude, negative)] == [0, 1]
        assert [sign.negative(x, fields) for x in (magnitude, negative)] == [negative, magnitude]
        assert [sign.absolute(x, fields) for x in (magnitude, negative)] == [magnitude, magnitude]
        assert [sign.copysign(x, negative, fields) for x in (magnitude, negative)] == [negative, negative]
