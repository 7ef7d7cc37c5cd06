"""The witness: binary64 hardware arithmetic and a rounding written for it, compiled; nothing of the package.

Sums and products of two binary16 numbers are exact in binary64. A quotient is not, but it lies so far from every
rounding boundary it does not hit (at least 2**-25 relative, or 2**-(25 + bits) for stochastic boundaries) that its
binary64 neighbour rounds as it does. The sum of a product and a third number need not be exact: it is rounded to odd,
by its error from the two-sum of [@knuth1997], which keeps every later rounding right. NaN results are RISC-V's 0x7E00.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.exhaustive.witness_arithmetic import arithmetic, fill_rows, signaling
from halfsim.testvectors.exhaustive.witness_rounding import INVALID, NAN, compiled, rounded

__all__ = ["MODES", "NARROWING", "OPERATIONS", "pairs", "triples"]

MODES = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rna": 4, "odd": 5, "stochastic": 6}
_ARITHMETIC = ["add", "subtract", "multiply", "divide", "remainder"]
_EXTREMA = ["minimum", "maximum", "minimum_number", "maximum_number", "min_num", "max_num", "minsh", "maxsh"]
# Codes 8 to 13 are codes 0 to 5 by magnitude; x86 has no such instructions.
_MAGNITUDES = ["minimum_magnitude", "maximum_magnitude", "minimum_magnitude_number", "maximum_magnitude_number"]
_MAGNITUDES += ["min_num_mag", "max_num_mag"]
# For less, equal, greater and unordered: true or false; then whether quiet NaNs are invalid (IEEE 754-2019 §5.11).
_COMPARISONS = {
    "equal": (0, 1, 0, 0, 0),
    "not_equal": (1, 0, 1, 1, 0),
    "less": (1, 0, 0, 0, 1),
    "less_equal": (1, 1, 0, 0, 1),
    "greater": (0, 0, 1, 0, 1),
    "greater_equal": (0, 1, 1, 0, 1),
    "less_quiet": (1, 0, 0, 0, 0),
    "less_equal_quiet": (1, 1, 0, 0, 0),
    "unordered": (0, 0, 0, 1, 0),
    "equal_signaling": (0, 1, 0, 0, 1),
    "not_equal_signaling": (1, 0, 1, 1, 1),
    "greater_quiet": (0, 0, 1, 0, 0),
    "greater_equal_quiet": (0, 1, 1, 0, 0),
    "not_less": (0, 1, 1, 1, 1),
    "not_greater": (1, 1, 0, 1, 1),
    "less_unordered": (1, 0, 0, 1, 1),
    "greater_unordered": (0, 0, 1, 1, 1),
    "not_less_quiet": (0, 1, 1, 1, 0),
    "not_greater_quiet": (1, 1, 0, 1, 0),
    "less_unordered_quiet": (1, 0, 0, 1, 0),
    "greater_unordered_quiet": (0, 0, 1, 1, 0),
    "ordered": (1, 1, 1, 0, 0),
}
NARROWING = "binary32_to_binary16"
_OTHERS = {"copysign": 3, "total_order": 4, "total_order_mag": 5}
OPERATIONS = [*_ARITHMETIC, *_EXTREMA, *_MAGNITUDES, *_COMPARISONS, *_OTHERS, NARROWING]

_VALUES = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)


@compiled
def _odd_sum(p, c):
    """P + c, its last bit odd where it is inexact; both finite."""
    total = p + c
    virtual = total - p
    error = (p - (total - virtual)) + (c - virtual)
    if error == 0.0:
        return total
    fraction, exponent = math.frexp(total)
    whole = math.ldexp(fraction, 53)
    if whole % 2.0 != 0.0:
        return total
    # Even: the exact sum lies beside it, so the odd neighbour on that side stands for it.
    return math.ldexp(whole + (1.0 if error > 0.0 else -1.0), exponent - 53)


@compiled
def _fma(a, b, c, x, y, w, mode, before, word, bits):
    product = x * y
    invalid = signaling(a) or signaling(b) or signaling(c)
    if x == x and y == y and product != product:
        invalid = True  # infinity times zero, whatever c is
    if x != x or y != y or w != w or product != product:
        return NAN, INVALID if invalid else 0
    total = product + w
    if total != total:
        return NAN, INVALID
    if math.isinf(total):
        return 0x7C00 if total > 0 else 0xFC00, 0
    if total == 0.0:
        sign = (a ^ b) & 0x8000
        if product == 0.0 and w == 0.0 and sign == c & 0x8000:
            return sign, 0
        return 0x8000 if mode == 2 else 0, 0
    return rounded(_odd_sum(product, w), mode, before, word, bits)


@compiled
def _fill_fused(a, b, c, values, z, flags, mode, before):
    for i in range(z.size):
        p, q, r = int(a[i]), int(b[i]), int(c[i])
        z[i], flags[i] = _fma(p, q, r, values[p], values[q], values[r], mode, before, 0.0, 0)


@compiled
def _extremum(code, a, b, x, y):
    """Codes: 0 2019, 2 2019 number, 4 2008, 6 x86; odd ones are maxima; 8 more, and magnitudes are compared."""
    maximum = code % 2 == 1
    convention = code // 2 % 4
    if x != x or y != y:
        if convention == 3:
            return b, INVALID
        invalid = signaling(a) or signaling(b)
        flags = INVALID if invalid else 0
        if (x == x or y == y) and (convention == 1 or (convention == 2 and not invalid)):
            return a if x == x else b, flags
        return NAN, flags
    if convention == 3:
        return a if (x > y if maximum else x < y) else b, 0
    if code >= 8 and abs(x) != abs(y):
        return a if (abs(x) > abs(y)) == maximum else b, 0
    if x == y:
        return (a & b if maximum else a | b), 0  # the same pattern, or two zeros
    return a if (x > y) == maximum else b, 0


@compiled
def _place(a):
    """Position of a pattern in the total order: sign and magnitude as one integer."""
    return -(a & 0x7FFF) - 1 if a & 0x8000 else a


@compiled
def _word(index, seed):
    """First word of Philox4x32-10 for one counter."""
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    x0, x1 = np.uint64(index) & low, np.uint64(index) >> shift
    x2, x3 = np.uint64(0), np.uint64(0)
    k0, k1 = np.uint64(seed) & low, np.uint64(seed) >> shift
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * x0
        p1 = np.uint64(0xCD9E8D57) * x2
        x0, x1, x2, x3 = (p1 >> shift) ^ x1 ^ k0, p1 & low, (p0 >> shift) ^ x3 ^ k1, p0 & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return x0


@compiled
def _fill(family, code, row, values, start, z, flags, mode, before, seed, bits, index):
    for i in range(z.size):
        pair = start + i
        a, b = pair >> 16, pair & 0xFFFF
        x, y = values[a], values[b]
        word = 0.0
        if mode == 6:
            word = float(_word(index + i, seed))
        if family == 0:
            z[i], flags[i] = arithmetic(code, a, b, x, y, mode, before, word, bits)
        elif family == 1:
            z[i], flags[i] = _extremum(code, a, b, x, y)
        elif family == 2:
            unordered = x != x or y != y
            relation = 3 if unordered else 0 if x < y else 1 if x == y else 2
            z[i] = row[relation]
            invalid = unordered and (row[4] == 1 or signaling(a) or signaling(b))
            flags[i] = INVALID if invalid else 0
        elif family == 3:
            z[i], flags[i] = (a & 0x7FFF) | (b & 0x8000), 0
        elif family == 4:
            z[i], flags[i] = _place(a) <= _place(b), 0
        else:
            z[i], flags[i] = a & 0x7FFF <= b & 0x7FFF, 0


@compiled
def _fill_narrowed(patterns, values, z, flags, mode, before, seed, bits, index):
    for i in range(z.size):
        x = float(values[i])
        sign = 0x8000 if patterns[i] >> 31 else 0
        word = 0.0
        if mode == 6:
            word = float(_word(index + i, seed))
        if x != x:
            z[i], flags[i] = NAN, 0 if patterns[i] & 0x400000 else INVALID
        elif math.isinf(x):
            z[i], flags[i] = sign | 0x7C00, 0
        elif x == 0.0:
            z[i], flags[i] = sign, 0
        else:
            z[i], flags[i] = rounded(x, mode, before, word, bits)


def pairs(
    name: str,
    start: int,
    count: int,
    mode: str = "rne",
    tininess: str = "after",
    seed: int = 0,
    bits: int = 13,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Results and flags of pairs ``start`` to ``start + count``; pair n is (n // 65536, n % 65536).

    For "binary32_to_binary16" a number is the pattern of one operand. Under "stochastic" the number is the Philox
    counter, and `bits` is at most 24.
    """
    assert bits <= 24
    z, flags = np.empty(count, np.uint16), np.empty(count, np.uint8)
    settings = MODES[mode], tininess == "before", np.uint64(seed), bits, start
    if name == NARROWING:
        patterns = np.arange(start, start + count, dtype=np.int64)
        _fill_narrowed(patterns, patterns.astype(np.uint32).view(np.float32), z, flags, *settings)
        return z, flags
    row = np.zeros(5, np.int64)
    if name in _ARITHMETIC[:4] and mode != "stochastic":
        fill_rows(_ARITHMETIC.index(name), _VALUES, start, z, flags, *settings[:2])
        return z, flags
    if name in _ARITHMETIC:
        family, code = 0, _ARITHMETIC.index(name)
    elif name in _EXTREMA:
        family, code = 1, _EXTREMA.index(name)
    elif name in _MAGNITUDES:
        family, code = 1, 8 + _MAGNITUDES.index(name)
    elif name in _COMPARISONS:
        family, code, row[:] = 2, 0, _COMPARISONS[name]
    else:
        family, code = _OTHERS[name], 0
    _fill(family, code, row, _VALUES, start, z, flags, *settings)
    return z, flags


def triples(
    a: NDArray[np.uint16], b: NDArray[np.uint16], c: NDArray[np.uint16], mode: str = "rne", tininess: str = "after"
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return patterns and flags of a * b + c, rounded once; every mode but stochastic."""
    z, flags = np.empty(a.size, np.uint16), np.empty(a.size, np.uint8)
    _fill_fused(a, b, c, _VALUES, z, flags, MODES[mode], tininess == "before")
    return z, flags
