"""The general loop of every elementwise operation: contiguous one-dimensional patterns in, patterns and flags out.

`index` is the Philox counter of the first element. Operands and results of binary16 are uint16; wider patterns travel as
int64.
"""

from __future__ import annotations

import numpy as np

from halfsim.core import arithmetic, compare, division, integral
from halfsim.core import convert as conversion
from halfsim.core._jit import kernel
from halfsim.core.fields import F16
from halfsim.core.philox import draw


@kernel
def add(a, b, z, flags, control, seed, index):
    """Binary16 sum."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = arithmetic.add(np.int64(a[i]), np.int64(b[i]), F16, control, random)


@kernel
def subtract(a, b, z, flags, control, seed, index):
    """Binary16 difference."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = arithmetic.subtract(np.int64(a[i]), np.int64(b[i]), F16, control, random)


@kernel
def multiply(a, b, z, flags, control, seed, index):
    """Binary16 product."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = arithmetic.multiply(np.int64(a[i]), np.int64(b[i]), F16, F16, control, random)


@kernel
def divide(a, b, z, flags, control, seed, index):
    """Binary16 quotient."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = division.divide(np.int64(a[i]), np.int64(b[i]), F16, control, random)


@kernel
def remainder(a, b, z, flags, control, seed, index):
    """Binary16 IEEE remainder."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = division.remainder(np.int64(a[i]), np.int64(b[i]), F16, control, random)


@kernel
def sqrt(a, z, flags, control, seed, index):
    """Binary16 square root."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = division.sqrt(np.int64(a[i]), F16, control, random)


@kernel
def fma(a, b, c, z, flags, control, seed, index):
    """Binary16 fused multiply-add."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = arithmetic.fma(np.int64(a[i]), np.int64(b[i]), np.int64(c[i]), F16, F16, control, random)


@kernel
def round_to_integral(a, z, flags, control, seed, index):
    """Binary16 integral value."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = integral.round_to_integral(np.int64(a[i]), F16, control, random)


@kernel
def scaleb(a, power, z, flags, control, seed, index):
    """Binary16 times a power of two; `power` is int64."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = integral.scaleb(np.int64(a[i]), np.int64(power[i]), F16, control, random)


@kernel
def logb(a, z, flags, control, seed, index):
    """Binary16 exponent."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = integral.logb(np.int64(a[i]), F16, control, random)


@kernel
def nextup(a, z, flags, control, seed, index):
    """Next binary16 value toward plus infinity."""
    for i in range(z.size):
        z[i], flags[i] = integral.nextup(np.int64(a[i]), F16, control, 0)


@kernel
def nextdown(a, z, flags, control, seed, index):
    """Next binary16 value toward minus infinity."""
    for i in range(z.size):
        z[i], flags[i] = integral.nextdown(np.int64(a[i]), F16, control, 0)


@kernel
def compare_relation(a, b, z, flags, control, mask, signaling):
    """Binary16 comparison: whether the relation is in `mask`."""
    for i in range(z.size):
        z[i], flags[i] = compare.compare(np.int64(a[i]), np.int64(b[i]), mask, signaling, F16, control)


@kernel
def extremum(a, b, z, flags, control, code):
    """Binary16 minimum or maximum of the convention that `code` names."""
    for i in range(z.size):
        z[i], flags[i] = compare.extremum(np.int64(a[i]), np.int64(b[i]), code, F16, control)


@kernel
def total_order(a, b, z):
    """Binary16 total order."""
    for i in range(z.size):
        z[i] = compare.total_order(np.int64(a[i]), np.int64(b[i]), F16)


@kernel
def classify(a, z):
    """Binary16 class."""
    for i in range(z.size):
        z[i] = compare.classify(np.int64(a[i]), F16)


@kernel
def convert(a, z, flags, fields, to, control, seed, index):
    """Any format to any other, by their layouts."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = conversion.convert(np.int64(a[i]), fields, to, control, random)


@kernel
def to_integer(a, z, flags, width, signed, fields, control, seed, index):
    """Any format to an integer of `width` bits, as int64."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = conversion.to_integer(np.int64(a[i]), width, signed, fields, control, random)


@kernel
def from_integer(a, z, flags, signed, to, control, seed, index):
    """An int64 to any format."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = conversion.from_integer(np.int64(a[i]), signed, to, control, random)
