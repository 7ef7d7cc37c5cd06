"""exp, log, tanh and sigmoid from + - * / alone, so that every machine returns the same bits.

Mathematical libraries differ in the last place between machines and vector widths. These two use only operations that
IEEE 754 defines, in a fixed order, in binary64; the error is below 2 ulp for exp and below 3 ulp for log.
"""

from __future__ import annotations

import math
from math import ldexp

import numpy as np

from halfsim.core._jit import inlined, kernel, scalar
from halfsim.kernels.simd import bits64_of, float64_of

__all__ = ["erf", "erfc", "exp", "log", "sigmoid", "tanh"]

_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # 32 bits: k times it is exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_HALF_ROOT = float.fromhex("0x1.6a09e667f3bcdp-1")
_SMALLEST_NORMAL = ldexp(1.0, -1022)
_SCALE, _SMALL = ldexp(1.0, 54), ldexp(1.0, -10)
# Quotients that Python itself computed would follow the state of the unit in which this is imported.
_INVERSE_FACTORIALS = tuple(map(float.fromhex, (
    "0x1.0000000000000p+0", "0x1.0000000000000p+0", "0x1.0000000000000p-1", "0x1.5555555555555p-3",
    "0x1.5555555555555p-5", "0x1.1111111111111p-7", "0x1.6c16c16c16c17p-10", "0x1.a01a01a01a01ap-13",
    "0x1.a01a01a01a01ap-16", "0x1.71de3a556c734p-19", "0x1.27e4fb7789f5cp-22", "0x1.ae64567f544e4p-26",
    "0x1.1eed8eff8d898p-29", "0x1.6124613a86d09p-33",
)))  # fmt: skip
"""1 / n! from n = 0."""
_INVERSE_23 = float.fromhex("0x1.642c8590b2164p-5")
# Of the error function: terms of series and fraction, where one gives way to the other, and how many numbers at once.
_TERMS, _BETWEEN, _BLOCK = 60, 2.5, 64
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
    p = _INVERSE_FACTORIALS[12] + r * _INVERSE_FACTORIALS[13]
    p = _INVERSE_FACTORIALS[11] + r * p
    p = _INVERSE_FACTORIALS[10] + r * p
    p = _INVERSE_FACTORIALS[9] + r * p
    p = _INVERSE_FACTORIALS[8] + r * p
    p = _INVERSE_FACTORIALS[7] + r * p
    p = _INVERSE_FACTORIALS[6] + r * p
    p = _INVERSE_FACTORIALS[5] + r * p
    p = _INVERSE_FACTORIALS[4] + r * p
    p = _INVERSE_FACTORIALS[3] + r * p
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
        y[i] = math.copysign(small if size < _SMALL else (1.0 - e) / (1.0 + e), x[i])


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
    p = _INVERSE_23
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


@inlined
def _error(x, y, complement):
    """Write the error function, or 1 less it, to `y`: so many numbers at once that no sum waits for another."""
    sizes, sums, squares = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    for start in range(0, x.size, _BLOCK):
        part, values, far = x[start : start + _BLOCK], y[start : start + _BLOCK], False
        for i in range(part.size):
            beyond = abs(part[i]) >= _BETWEEN
            far |= beyond
            sizes[i] = 0.0 if beyond else abs(part[i])
            sums[i], squares[i] = 1.0, 2.0 * sizes[i] * sizes[i]
        # 2 exp(-x²) / sqrt(pi) times the sum of 2ⁿ x²ⁿ⁺¹ / (1 3 5 ... (2n + 1)), from its small terms up.
        for n in range(_TERMS, 0, -1):
            for i in range(part.size):
                sums[i] = 1.0 + sums[i] * (squares[i] / (2 * n + 1))
        for i in range(part.size):
            value = 2.0 / math.sqrt(math.pi) * sizes[i] * _exponential(-sizes[i] * sizes[i]) * sums[i]
            value = part[i] if part[i] != part[i] else math.copysign(value, part[i])
            values[i] = 1.0 - value if complement else value
        if not far:
            continue
        # exp(-x²) / sqrt(pi) over the continued fraction x + (1/2) / (x + (2/2) / (x + ...)).
        for i in range(part.size):
            sizes[i] = min(abs(part[i]), 1e3) if abs(part[i]) >= _BETWEEN else _BETWEEN
            sums[i] = sizes[i]
        for n in range(_TERMS, 0, -1):
            for i in range(part.size):
                sums[i] = sizes[i] + (0.5 * n) / sums[i]
        for i in range(part.size):
            tail = _exponential(-sizes[i] * sizes[i]) / (math.sqrt(math.pi) * sums[i])
            value = math.copysign(1.0 - tail, part[i])
            if complement:
                value = tail if part[i] > 0.0 else 1.0 - value
            values[i] = value if abs(part[i]) >= _BETWEEN else values[i]


@kernel
def erf(x, y):
    """Write the error function of binary64 numbers to `y`: below 2.5 a series of positive terms, beyond it 1 - erfc."""
    _error(x, y, False)


@kernel
def erfc(x, y):
    """Write 1 less the error function of binary64 numbers to `y`, without cancellation where x is large."""
    _error(x, y, True)
