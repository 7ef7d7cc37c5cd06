"""Vectorised comparisons, minima and maxima of binary16, with flags: the loops of `halfsim.kernels.elementwise`."""

from __future__ import annotations

from numpy import int32, int64

from halfsim.core import compare
from halfsim.core._jit import kernel, scalar
from halfsim.core.compare import Extremum, Relation
from halfsim.core.control import Bit, has
from halfsim.core.fields import F16
from halfsim.flags import Flags
from halfsim.kernels.simd import is_nan, less

__all__ = ["compare_relation", "extremum"]

_INVALID = int(Flags.invalid)
_INFINITY, _QUIET, _SMALLEST = 0x7C00, 0x0200, 0x0400


@scalar
def _magnitude(pattern, flush):
    """Return a pattern without its sign; 0 for a subnormal number if asked."""
    magnitude = int32(int32(pattern) & 0x7FFF)
    return int32(0) if flush & less(magnitude, _SMALLEST) else magnitude


@scalar
def _signals(magnitude):
    return less(_INFINITY, magnitude) & (int32(magnitude & _QUIET) == 0)


@kernel
def compare_relation(a, b, z, flags, control, seed, index, mask, signaling):
    """Binary16 comparison: whether the relation is in `mask`."""
    flush = has(control, Bit.flushInputs)
    below, equal = mask & Relation.less != 0, mask & Relation.equal != 0
    above, apart = mask & Relation.greater != 0, mask & Relation.unordered != 0
    loud = signaling != 0
    for i in range(z.size):
        x, y = _magnitude(a[i], flush), _magnitude(b[i], flush)
        nan = less(_INFINITY, x) | less(_INFINITY, y)
        invalid = (nan & loud) | _signals(x) | _signals(y)
        x = int32(-x) if a[i] & 0x8000 else x
        y = int32(-y) if b[i] & 0x8000 else y
        found = below if less(x, y) else above if less(y, x) else equal
        z[i] = apart if nan else found
        flags[i] = _INVALID if invalid else 0


@kernel
def extremum(a, b, z, flags, control, seed, index, code):
    """Binary16 minimum or maximum of the convention that `code` names."""
    flush = has(control, Bit.flushInputs)
    second = code & 3 == Extremum.second
    of_magnitudes = code & Extremum.magnitude != 0
    maximum = code & Extremum.maximum != 0
    largest = int32(0)
    for i in range(z.size):
        x, y = _magnitude(a[i], flush), _magnitude(b[i], flush)
        largest = max(largest, max(x, y))
        sign_x, sign_y = int32(int32(a[i]) & 0x8000), int32(int32(b[i]) & 0x8000)
        # Doubled, with the sign in the last bit, so that -0 lies between +0 and the negative numbers.
        key_x = int32(-int32(int32(x << 1) + 1)) if sign_x else int32(x << 1)
        key_y = int32(-int32(int32(y << 1) + 1)) if sign_y else int32(y << 1)
        apart = of_magnitudes & (x != y)
        key_x, key_y = (x if apart else key_x), (y if apart else key_y)
        first = less(key_y, key_x) if maximum else less(key_x, key_y)
        first = first & (not (second & (int32(x | y) == 0)))
        z[i] = int32(x | sign_x) if first else int32(y | sign_y)
        flags[i] = 0
    if largest > _INFINITY:
        for i in range(z.size):
            if is_nan(a[i]) or is_nan(b[i]):
                z[i], flags[i] = compare.extremum(int64(a[i]), int64(b[i]), code, F16, control)
