"""The scalars of AMD's matrix units."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest

from halfsim.core import dot, mfma
from halfsim.core.control import control_word
from halfsim.core.dot import Status
from halfsim.core.fields import F16, layout
from halfsim.environment import Environment
from halfsim.formats import BFLOAT16, BINARY16, BINARY32
from halfsim.rounding import Rounding
from tests.oracles.rational import round_fraction

B32, BF = layout(BINARY32), layout(BFLOAT16)
FLUSH = Environment(flush_inputs=True, flush_results=True)
NEAREST, DOWN = (control_word(mode, Environment()) for mode in (Rounding.roundTiesToEven, Rounding.roundTowardNegative))
FLUSHING = control_word(Rounding.roundTiesToEven, FLUSH)


@pytest.mark.parametrize(("fmt", "smallest"), [(BINARY16, 0x0400), (BFLOAT16, 0x0080), (BINARY32, 0x00800000)])
def test_operands_below_the_smallest_normal_number_are_read_as_plus_zero(fmt, smallest):
    fields, sign = layout(fmt), 1 << fmt.width - 1
    for bits in (0, 1, smallest - 1):
        assert mfma.flushed(bits, fields, FLUSHING) == mfma.flushed(bits | sign, fields, FLUSHING) == 0
        assert mfma.flushed(bits | sign, fields, NEAREST) == bits | sign
    for bits in (smallest, fields.largest, fields.infinity, fields.infinity + 1, 2 * fields.infinity - fields.largest):
        assert mfma.flushed(bits | sign, fields, FLUSHING) == bits | sign
    only_results = control_word(Rounding.roundTiesToEven, replace(FLUSH, flush_inputs=False))
    assert mfma.flushed(sign | 1, fields, only_results) == sign | 1


def test_rounded_products():
    def product(a, b, control=FLUSHING, left=BF, right=BF):
        return mfma.rounded_product(a, b, left, right, B32, control)

    assert product(0x3F80, 0x3FC0) == 0x3FC00000
    assert product(0x8000, 0x3F80) == 0  # -0 is read as +0
    assert product(0x8000, 0x3F80, NEAREST) == 0x80000000
    assert product(0x8001, 0x7F00) == 0
    assert product(0xA000, 0x2000) == 0x80800000  # the smallest normal number stays
    assert product(0x1F80, 0x9F80) == 0x80000000 and product(0x1F80, 0x9F80, NEAREST) == 0x80200000
    assert product(0x7F00, 0x7F00) == 0x7F800000 and product(0xFF00, 0x7F00) == 0xFF800000
    assert product(0x7F80, 0xBF80) == 0xFF800000
    assert product(0x7F80, 0x0001) == 0x7FC00000 and product(0x7F80, 0x0001, NEAREST) == 0x7F800000
    assert product(0xFFC1, 0x3F80) == 0x7FC00000
    assert product(0x3C00, 0x4000, left=F16, right=BF) == 0x40000000


def test_products_beyond_the_exponents_of_the_result_are_infinite():
    # bfloat16: 2**127 * 1.9921875 is the last below, 2**64 * 2**64 the first beyond.
    assert mfma.bounded_product(0x7F7F, 0x3F80, BF, BF, B32) == dot.product(0x7F7F, 0x3F80, BF, BF)
    assert mfma.bounded_product(0x5FFF, 0x5F00, BF, BF, B32) == dot.product(0x5FFF, 0x5F00, BF, BF)
    assert mfma.bounded_product(0x5F80, 0x5F80, BF, BF, B32)[0] == Status.plusInfinity
    assert mfma.bounded_product(0x5F80, 0xDF80, BF, BF, B32) == (Status.minusInfinity, 0, 0, 0)
    # 1.9921875 * 1.9921875 carries into the next exponent.
    assert mfma.bounded_product(0x5FFF, 0xDF7F, BF, BF, B32)[0] == Status.minusInfinity
    assert mfma.bounded_product(0x7BFF, 0x7BFF, F16, F16, B32) == dot.product(0x7BFF, 0x7BFF, F16, F16)
    assert mfma.bounded_product(0x7BFF, 0x7BFF, F16, F16, F16)[0] == Status.plusInfinity
    assert mfma.bounded_product(0x7F7F, 0x0000, BF, BF, B32) == dot.product(0x7F7F, 0x0000, BF, BF)


def test_the_second_stage_equals_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(2000):
        products, unit = int(rng.integers(-(2**30), 2**30)), int(rng.integers(-90, 20))
        sign, significand, exponent = (
            int(x) for x in (rng.integers(0, 2), rng.integers(0, 2**24), rng.integers(-90, 20))
        )
        common = max(unit + 24, exponent + 23, -20)
        first, second = (int(x) for x in rng.integers(1, 41, 2))
        total, below = mfma.join(products, unit, sign, exponent, significand, common, first, second, DOWN)
        addend = (-1) ** sign * significand * Fraction(2) ** exponent
        want = sum(
            floor(value / Fraction(2) ** (common - bits)) * Fraction(2) ** (common - bits)
            for value, bits in ((products * Fraction(2) ** unit, first), (addend, second))
        )
        assert total * Fraction(2) ** below == want
        bits = int(rng.integers(1, 63))
        cut, last = mfma.normalised(total, below, bits, B32, DOWN)
        value = total * Fraction(2) ** below
        digits = abs(total).bit_length() - 1 + below
        step = Fraction(2) ** (max(digits, -126) - bits)
        assert cut * Fraction(2) ** last == floor(value / step) * step
        assert (
            mfma.finish_stages(0, cut, last, B32, NEAREST, 0) == round_fraction(cut * Fraction(2) ** last, BINARY32)[0]
        )


def test_a_sum_below_the_smallest_normal_number_is_cut_at_its_fraction_bits():
    # -2**-160 with 31 fraction bits below 2**-126: the grid is 2**-157.
    assert mfma.normalised(-1, -160, 31, B32, DOWN) == (-1, -157)
    assert mfma.normalised(1, -160, 31, B32, DOWN) == (0, -157)
    assert mfma.normalised(0, -160, 31, B32, DOWN) == (0, -160)


def test_results_of_special_terms_and_zeros():
    assert mfma.finish_stages(Status.nan, 5, 0, B32, NEAREST, 0) == 0x7FC00000
    assert mfma.finish_stages(Status.plusInfinity | Status.minusInfinity, 5, 0, B32, NEAREST, 0) == 0x7FC00000
    assert mfma.finish_stages(Status.minusInfinity, 5, 0, B32, NEAREST, 0) == 0xFF800000
    assert mfma.finish_stages(0, 0, 0, B32, NEAREST, 0) == 0
    assert mfma.finish_stages(0, 0, 0, B32, DOWN, 0) == 0x80000000
    assert mfma.finish_stages(0, -1, -157, B32, NEAREST, 0) == 0x80000000
    assert mfma.finish_stages(0, 1 << 40, 88, B32, NEAREST, 0) == 0x7F800000
