"""The long accumulator with any last bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from halfsim.core.control import control_word
from halfsim.core.dot import EXACT_BOTTOM, LIMB_BITS, LIMBS, Status
from halfsim.core.fields import layout
from halfsim.environment import Environment
from halfsim.formats import BFLOAT16, BINARY16, BINARY32
from halfsim.kernels.limbs import accumulate, round_limbs
from halfsim.kernels.mfma import limbs
from halfsim.rounding import Rounding
from tests.oracles.rational import round_fraction

NEAREST = control_word(Rounding.roundTiesToEven, Environment())
B32 = layout(BINARY32)


def test_the_ranges_hold_every_product_and_the_largest_sums():
    for fmt in (BINARY16, BFLOAT16):
        size, bottom = limbs(layout(fmt), layout(fmt), B32)
        smallest, largest = fmt.emin - fmt.precision + 1, fmt.emax + 1
        assert bottom == min(2 * smallest, -149)
        # 1,024 products and C, a sign, and a limb that carries end in.
        assert bottom + LIMB_BITS * (size - 1) > max(2 * largest, 128) + 11
    assert limbs(layout(BINARY16), layout(BINARY16), B32)[1] == EXACT_BOTTOM


@pytest.mark.parametrize(("size", "bottom"), [(LIMBS, EXACT_BOTTOM), limbs(layout(BFLOAT16), layout(BFLOAT16), B32)])
def test_sums_are_exact(size, bottom):
    rng = np.random.default_rng(3)
    low, high = max(bottom, -190), min(bottom + LIMB_BITS * (size - 1) - 40, 90)
    for _ in range(500):
        digits, total = np.zeros(size, np.int64), Fraction(0)
        center = int(rng.integers(low, high))
        for _ in range(int(rng.integers(1, 30))):
            sign, significand = int(rng.integers(2)), int(rng.integers(1, 1 << 24))
            exponent = int(np.clip(center + rng.integers(-60, 60), low, high))
            accumulate(digits, bottom, sign, exponent, significand)
            total += (-1) ** sign * significand * Fraction(2) ** exponent
            if rng.random() < 0.3:
                accumulate(digits, bottom, 1 - sign, exponent, significand - 1)
                total -= (-1) ** sign * (significand - 1) * Fraction(2) ** exponent
        both = int(Status.notPlusZero | Status.notMinusZero)
        assert round_limbs(digits, bottom, both, B32, NEAREST, 0) == round_fraction(total, BINARY32)
