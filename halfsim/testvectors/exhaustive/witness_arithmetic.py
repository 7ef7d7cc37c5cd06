"""The witness's sums, differences, products, quotients and remainders; nothing of the package."""

from __future__ import annotations

import math

import numpy as np

from halfsim.testvectors.exhaustive.witness_rounding import DIVIDE_BY_ZERO, INVALID, NAN, compiled, rounded

__all__ = ["arithmetic", "fill_rows", "signaling"]


@compiled
def _remainder(x, y):
    """X - y * n exactly, n the integer nearest x / y, ties to even; both finite, y not zero."""
    n = np.rint(x / y)
    rest = x - n * y
    half = 0.5 * abs(y)
    # The quotient was itself rounded: repair a neighbouring integer.
    if abs(rest) > half or (abs(rest) == half and n % 2.0 != 0.0):
        n += 1.0 if (rest > 0.0) == (y > 0.0) else -1.0
        rest = x - n * y
    return rest


@compiled
def signaling(a):
    """Whether a pattern is a signaling NaN."""
    return (a & 0x7FFF) > 0x7C00 and a & 0x0200 == 0


@compiled
def arithmetic(code, a, b, x, y, mode, before, word, bits):
    """Pattern and flags: codes are 0 sum, 1 difference, 2 product, 3 quotient and else remainder."""
    if x != x or y != y:
        return NAN, INVALID if signaling(a) or signaling(b) else 0
    sign = (a ^ b) & 0x8000
    # One call of `rounded`, at the end, so that compilers put it there.
    if code <= 1:
        if code == 1:
            b ^= 0x8000
            y = -y
        exact = x + y
        if exact == 0.0:
            return (a if x == 0.0 and a == b else 0x8000 if mode == 2 else 0), 0
        sign = 0x8000 if exact < 0.0 else 0
    elif code == 2:
        exact = x * y
    elif code == 3:
        if y == 0.0 and x != 0.0:
            return sign | 0x7C00, 0 if math.isinf(x) else DIVIDE_BY_ZERO
        exact = x / y
    elif math.isinf(x) or y == 0.0:
        return NAN, INVALID
    else:
        sign = a & 0x8000
        exact = x if math.isinf(y) else _remainder(x, y)
    if exact != exact:
        return NAN, INVALID
    if math.isinf(exact):
        return sign | 0x7C00, 0
    if exact == 0.0:
        return sign, 0
    return rounded(exact, mode, before, word, bits)


@compiled
def _fill_plain(code, x, column, z, flags, mode, before):
    """Sums, differences, products and quotients of numbers, none of them zero, infinite or a NaN."""
    for i in range(z.size):
        y = column[i]
        if code == 0:
            exact = x + y
        elif code == 1:
            exact = x - y
        elif code == 2:
            exact = x * y
        else:
            exact = x / y
        zero = exact == 0.0
        pattern, raised = rounded(1.0 if zero else exact, mode, before, 0.0, 0)
        z[i] = (0x8000 if mode == 2 else 0) if zero else pattern
        flags[i] = 0 if zero else raised


@compiled
def fill_rows(code, values, start, z, flags, mode, before):
    """Pairs by their first operands: which second ones are zero, infinite or a NaN need not be asked of each."""
    done = 0
    while done < z.size:
        a, first = (start + done) >> 16, (start + done) & 0xFFFF
        last = min(0x10000, first + z.size - done)
        plain_row = 0.0 < abs(values[a]) < math.inf
        for low, high, plain in (
            (0, 1, False),
            (1, 0x7C00, True),
            (0x7C00, 0x8001, False),
            (0x8001, 0xFC00, True),
            (0xFC00, 0x10000, False),
        ):
            low, high = max(low, first), min(high, last)
            size = max(high - low, 0)
            some, raised = z[done : done + size], flags[done : done + size]
            if plain and plain_row:
                _fill_plain(code, values[a], values[low : low + size], some, raised, mode, before)
            else:
                for i in range(size):
                    b = low + i
                    some[i], raised[i] = arithmetic(code, a, b, values[a], values[b], mode, before, 0.0, 0)
            done += size
