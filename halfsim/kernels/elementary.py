"""exp, log, tanh and sigmoid from + - * / alone, so that every machine returns the same bits.

Mathematical libraries differ in the last place between machines and vector widths. These two use only operations that
IEEE 754 defines, in a fixed order, in binary64; the error is below 2 ulp for exp and below 3 ulp for log.
"""

from __future__ import annotations

import math

import numpy as np

from halfsim.core._jit import inlined, kernel, scalar
from halfsim.kernels.simd import bits64_of, float64_of

__all__ = ["exp", "log", "sigmoid", "tanh"]

_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # 32 bits: k times it is exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_HALF_ROOT = float.fromhex("0x1.6a09e667f3bcdp-1")
_SMALLEST_NORMAL = 2.0**-1022
_SCALE = 2.0**54
_FRACTION, _ONE_HALF = (1 << 52) - 1, 1022 << 52


@scalar
def _power(exponent):
    """Return 2**exponent, for a normal number."""
    return float64_of((exponent + 1023) << 52)


@inlined
def _exponential(x):
    """Return the exponential of a binary64 number; NaN stays NaN."""
    bounded = min(max(x, -760.0), 720.0)
    k = math.floor(bounded * _LOG2_E + 0.5)
    r = (bounded - k * _LN2_HIGH) - k * _LN2_LOW
    # Taylor's series for |r| < 0.35: the first term left out is below 2**-57.
    p = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0)
    p = 1.0 / 39916800.0 + r * p
    p = 1.0 / 3628800.0 + r * p
    p = 1.0 / 362880.0 + r * p
    p = 1.0 / 40320.0 + r * p
    p = 1.0 / 5040.0 + r * p
    p = 1.0 / 720.0 + r * p
    p = 1.0 / 120.0 + r * p
    p = 1.0 / 24.0 + r * p
    p = 1.0 / 6.0 + r * p
    p = 1.0 + (r + r * r * (0.5 + r * p))
    # In two halves, so that the one rounding of a subnormal result is the last step.
    whole = np.int64(k)
    half = whole >> 1
    return p * _power(half) * _power(whole - half) if x == x else x


@kernel
def exp(x, y):
    """Write the exponentials of binary64 numbers to `y`; NaN stays NaN."""
    for i in range(x.size):
        y[i] = _exponential(x[i])


@kernel
def tanh(x, y):
    """Write (1 - e) / (1 + e), e = exp(-2|x|), with the sign of x to `y`; where |x| < 2**-10, x - x³ / 3."""
    for i in range(x.size):
        size = abs(x[i])
        e = _exponential(-2.0 * size)
        small = size * (1.0 - size * size / 3.0)
        y[i] = math.copysign(small if size < 2.0**-10 else (1.0 - e) / (1.0 + e), x[i])


@kernel
def sigmoid(x, y):
    """Write (1 or e) / (1 + e), e = exp(-|x|), which cannot overflow, to `y`."""
    for i in range(x.size):
        e = _exponential(-abs(x[i]))
        y[i] = (1.0 if x[i] >= 0.0 else e) / (1.0 + e)


@inlined
def _logarithm(x):
    """Return the natural logarithm of a binary64 number, -inf at zero, NaN below it, without a branch."""
    tiny = x < _SMALLEST_NORMAL
    bits = bits64_of(x * _SCALE if tiny else x)
    # x = m 2**e, m from the root of a half to that of two.
    m = float64_of(bits & _FRACTION | _ONE_HALF)
    e = np.float64(np.int32(bits >> 52) - (1076 if tiny else 1022))
    low = m < _HALF_ROOT
    m = m * 2.0 if low else m
    e = e - 1.0 if low else e
    s = (m - 1.0) / (m + 1.0)
    # log m = 2 artanh s, |s| < 0.172: the first term left out is below 2**-60 of the sum.
    t = s * s
    p = 1.0 / 23.0
    for j in range(21, 0, -2):
        p = p * t + 1.0 / j
    y = e * _LN2_HIGH + (e * _LN2_LOW + 2.0 * s * p)
    y = y if x > 0.0 else math.nan
    y = x if x == math.inf else y
    return -math.inf if x == 0.0 else y


@kernel
def log(x, y):
    """Write the natural logarithms of binary64 numbers to `y`: -inf at zero, NaN below it."""
    for i in range(x.size):
        y[i] = _logarithm(x[i])
