"""The general loop of every elementwise operation: contiguous one-dimensional patterns in, patterns and flags out.

`index` is the Philox counter of the first element. Operands and results of binary16 are uint16; wider patterns travel
as uint32 or int64.
"""

from __future__ import annotations

import numpy as np

from halfsim.core import arithmetic, compare, division, integral, sign
from halfsim.core import convert as conversion
from halfsim.core._jit import kernel
from halfsim.core.fields import F16
from halfsim.core.philox import draw

__all__ = [
    "absolute",
    "add",
    "classify",
    "compare_relation",
    "convert",
    "copysign",
    "divide",
    "extremum",
    "fma",
    "from_integer",
    "is_class",
    "logb",
    "multiply",
    "negative",
    "nextdown",
    "nextup",
    "remainder",
    "round_to_integral",
    "scaleb",
    "signbit",
    "sqrt",
    "subtract",
    "to_integer",
    "total_order",
]


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
def compare_relation(a, b, z, flags, control, seed, index, mask, signaling):
    """Binary16 comparison: whether the relation is in `mask`."""
    for i in range(z.size):
        z[i], flags[i] = compare.compare(np.int64(a[i]), np.int64(b[i]), mask, signaling, F16, control)


@kernel
def extremum(a, b, z, flags, control, seed, index, code):
    """Binary16 minimum or maximum of the convention that `code` names."""
    for i in range(z.size):
        z[i], flags[i] = compare.extremum(np.int64(a[i]), np.int64(b[i]), code, F16, control)


@kernel
def total_order(a, b, z, flags, control, seed, index, magnitudes):
    """Binary16 total order, of the magnitudes if asked."""
    for i in range(z.size):
        x, y = np.int64(a[i]), np.int64(b[i])
        if magnitudes:
            x, y = sign.absolute(x, F16), sign.absolute(y, F16)
        z[i], flags[i] = compare.total_order(x, y, F16), 0


@kernel
def classify(a, z, flags, control, seed, index):
    """Binary16 class."""
    for i in range(z.size):
        z[i], flags[i] = compare.classify(np.int64(a[i]), F16), 0


@kernel
def is_class(a, z, flags, control, seed, index, classes):
    """Whether the binary16 class is in a set, given as bits."""
    for i in range(z.size):
        z[i], flags[i] = (classes >> compare.classify(np.int64(a[i]), F16)) & 1, 0


@kernel
def negative(a, z, flags, control, seed, index):
    """Binary16 with its sign reversed."""
    for i in range(z.size):
        z[i], flags[i] = sign.negative(np.int64(a[i]), F16), 0


@kernel
def absolute(a, z, flags, control, seed, index):
    """Binary16 magnitude."""
    for i in range(z.size):
        z[i], flags[i] = sign.absolute(np.int64(a[i]), F16), 0


@kernel
def copysign(a, b, z, flags, control, seed, index):
    """Binary16 magnitude with the sign of another."""
    for i in range(z.size):
        z[i], flags[i] = sign.copysign(np.int64(a[i]), np.int64(b[i]), F16), 0


@kernel
def signbit(a, z, flags, control, seed, index):
    """Binary16 sign bit."""
    for i in range(z.size):
        z[i], flags[i] = sign.signbit(np.int64(a[i]), F16), 0


@kernel
def convert(a, z, flags, control, seed, index, fields, to):
    """Any format to any other, by their layouts."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = conversion.convert(np.int64(a[i]), fields, to, control, random)


@kernel
def to_integer(a, z, flags, control, seed, index, fields, width, signed):
    """Any format to an integer of `width` bits, as int64."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = conversion.to_integer(np.int64(a[i]), width, signed, fields, control, random)


@kernel
def from_integer(a, z, flags, control, seed, index, signed, to):
    """An int64 to any format."""
    for i in range(z.size):
        random = draw(control, seed, index + i, 0)
        z[i], flags[i] = conversion.from_integer(np.int64(a[i]), signed, to, control, random)
