"""Count what storing results lost: of all of them, or of those of a product that are out of the ordinary."""

from __future__ import annotations

import numpy as np
from numpy import float32, int32

from halfsim.core._jit import kernel, scalar
from halfsim.kernels.f16c import converts, narrow, widen
from halfsim.kernels.simd import bits_of, decode, float_of, less, make_rule, nearest

__all__ = ["BESIDE", "LOSSES", "WHOLE", "extraordinary", "losses", "narrowed"]

LOSSES = ("inexact", "overflow", "underflow", "flushed", "invalid")
"""What is counted, as `halfsim.interop.torch.report.Counts` explains it."""
WHOLE, BESIDE = 1, 2
"""Marks of rows of a product: compared as a whole; not so, and with results out of the ordinary."""
_MAGNITUDE, _LARGEST, _BEYOND, _INFINITY = 0x7FFFFFFF, 0x477FE000, 0x47800000, 0x7F800000
_NORMAL16, _LARGEST16, _INFINITY16 = 0x0400, 0x7BFF, 0x7C00
_REBIAS = 112 << 23
# Elements that are looked at together: mostly none of them is out of the ordinary.
_RUN = 1 << 9


@scalar
def _lost(exact, stored, normal):
    """Return, as 0 or 1, whether storing a number lost each of the `LOSSES`; all are patterns of binary32 in int32."""
    before, size = int32(exact & _MAGNITUDE), int32(stored & _MAGNITUDE)
    # Zeros of both signs are equal.
    differs = (int32(exact ^ stored) != 0) & less(0, int32(before | size))
    beyond = less(_INFINITY - 1, size) | (
        less(_LARGEST - 1, size) & less(size, _LARGEST + 1) & less(_BEYOND - 1, before)
    )
    number = less(size, _INFINITY + 1)
    return (
        int32(differs & number),
        int32(differs & beyond & number & less(before, _INFINITY)),
        int32(differs & less(size, normal)),
        int32(differs & less(size, 1)),
        int32(less(before, _INFINITY + 1) & less(_INFINITY, size)),
    )


@scalar
def _normal(pattern):
    """Return the binary32 pattern of zero or a normal number of binary16; of others one that is above all these.

    Subnormal ones among them: what they lost cannot be told from the pattern that a normal one would have.
    """
    size = int32(pattern & 0x7FFF)
    bits = int32(int32(size << 13) + _REBIAS)
    bits = int32(_INFINITY) if less(size, _NORMAL16) else bits
    return int32((int32(0) if size == 0 else bits) | int32((pattern & 0x8000) << 16))


@kernel
def losses(exact, stored, normal, control):
    """Return how many results are infinite or NaN, and how many lost each of the `LOSSES`.

    `exact` are patterns of binary32, uint32, `stored` such or patterns of binary16, uint16; `normal` is the binary32
    pattern, int32, of the smallest normal number of what is stored, `control` the word of rounding to nearest.
    """
    rule, narrow = make_rule(control), stored.itemsize == 2
    special = strange = False
    inexact = overflow = underflow = flushed = invalid = 0
    for start in range(0, stored.size, _RUN):
        before, after = exact[start : start + _RUN], stored[start : start + _RUN]
        if not strange:
            a = int32(0)
            for i in range(after.size):
                bits = _normal(after[i]) if narrow else int32(after[i])
                size = int32(bits & _MAGNITUDE)
                differs = int32(int32(before[i]) ^ bits) != 0
                strange |= (differs & less(size, normal)) | less(_LARGEST - 1, size)
                a = int32(a + differs)
            if not strange:
                inexact += a
                continue
        strange = False
        a = b = c = d = e = int32(0)
        for i in range(after.size):
            bits = bits_of(decode(after[i], rule)) if narrow else int32(after[i])
            strange |= less(_INFINITY - 1, int32(bits & _MAGNITUDE))
            one, two, three, four, five = _lost(int32(before[i]), bits, normal)
            a, b, c, d, e = int32(a + one), int32(b + two), int32(c + three), int32(d + four), int32(e + five)
        special |= strange
        strange |= (b | c | e) != 0
        inexact, overflow, underflow, flushed, invalid = (
            inexact + a,
            overflow + b,
            underflow + c,
            flushed + d,
            invalid + e,
        )
    return special, inexact, overflow, underflow, flushed, invalid


@kernel
def extraordinary(a, b, starts, stored, normal, control, rows, most):
    """Compare what is out of the ordinary among the binary16 results of a product with binary32 sums.

    That is what is zero, subnormal, the largest number, infinite or NaN, in rows that are not marked as `WHOLE`, unless
    there is more of it than `most`. Such rows are marked as `BESIDE`.

    `a` (M, K), `b` (K, N) and `stored`, M N of them, are patterns of binary16, uint16; `starts`, N such or patterns of
    binary32, uint32, or none, is what the sums start from; `rows`, M of them, are the marks, uint8; `normal` and
    `control` are those of `losses`.

    k ascends, as in `halfsim.kernels.gemm32.matmul32`. Return how many there are, and what `losses` does of them, but
    of all results whether one is infinite or NaN.
    """
    columns, places = b.shape[1], np.empty(most, np.int64)
    count, special = 0, False
    for start in range(0, stored.size, _RUN):
        part, found = stored[start : start + _RUN], False
        for i in range(part.size):
            size = int32(part[i] & 0x7FFF)
            found |= less(size, _NORMAL16) | less(_LARGEST16 - 1, size)
        if not found:
            continue
        for i in range(part.size):
            size = int32(part[i] & 0x7FFF)
            if less(size, _NORMAL16) | less(_LARGEST16 - 1, size):
                special |= less(_INFINITY16 - 1, size)
                row = (start + i) // columns
                if rows[row] != WHOLE:
                    rows[row] = BESIDE
                    if count < most:
                        places[count] = start + i
                    count += 1
    rule = make_rule(control)
    inexact = overflow = underflow = flushed = invalid = 0
    for number in range(count if count <= most else 0):
        i, j = divmod(places[number], columns)
        total = float32(0)
        if starts.size:
            total = decode(int32(starts[j]), rule) if starts.itemsize == 2 else float_of(int32(starts[j]))
        for k in range(b.shape[0]):
            total += decode(int32(a[i, k]), rule) * decode(int32(b[k, j]), rule)
        one, two, three, four, five = _lost(
            bits_of(total), bits_of(decode(int32(stored[places[number]]), rule)), normal
        )
        inexact, overflow, underflow = inexact + one, overflow + two, underflow + three
        flushed, invalid = flushed + four, invalid + five
    return count, special, inexact, overflow, underflow, flushed, invalid


@scalar
def _nearest(bits):
    """Return the binary16 pattern of a binary32 one, to nearest, and of a NaN any of one."""
    return int32(narrow(float_of(bits))) if converts() else nearest(bits, int32(0))[0]


@kernel
def narrowed(exact, stored, control):
    """Round binary32 patterns, uint32, to nearest to binary16 ones, uint16, and count what that took off.

    `control` is the word of rounding to nearest. Return how many numbers it changed, made infinite and made zero; or -1
    for all where one is a NaN, whose pattern the core knows.
    """
    rule = make_rule(control)
    inexact = infinite = zero = nan = 0
    for start in range(0, stored.size, _RUN):
        before, after = exact[start : start + _RUN], stored[start : start + _RUN]
        for i in range(after.size):
            after[i] = _nearest(int32(before[i]))
        a = b = c = d = int32(0)
        for i in range(after.size):
            bits = int32(before[i])
            back = bits_of(widen(after[i]) if converts() else decode(after[i], rule))
            size = int32(back & _MAGNITUDE)
            # Zeros of both signs stay what they are.
            differs = int32(bits ^ back) != 0
            a, b, c = int32(a + differs), int32(b + (differs & (size == _INFINITY))), int32(c + (differs & (size == 0)))
            d = int32(d + less(_INFINITY, size))
        inexact, infinite, zero, nan = inexact + a, infinite + b, zero + c, nan + d
    return (inexact, infinite, zero) if nan == 0 else (-1, -1, -1)
