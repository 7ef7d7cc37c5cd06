"""Elements of a matrix unit's product that have an infinity or a NaN among their factors, decided without their sums.

An infinity or a NaN, once met, leaves only three results: it, the other NaN, or an infinity. Which one depends on what
is infinite among the products and C, and on nothing else unless the sum of the other products overflows: an overflow
the other way, before the infinity, makes a NaN. Such elements stay for the general loop.
"""

from __future__ import annotations

import numpy as np

from halfsim.core._jit import kernel, scalar

__all__ = ["resolve"]

_ZERO, _INFINITE, _NAN, _NEGATIVE = 1, 2, 4, 8
_PLUS, _MINUS = 1, 2  # infinities met by an element; _NAN as above


@scalar
def _class(pattern, rule):
    """What a factor is, as bits."""
    magnitude = np.int64(pattern) & rule.mask
    result = _ZERO if magnitude == 0 else 0
    if magnitude > rule.largest:
        result = _INFINITE if magnitude == rule.infinity else _NAN
    return result if np.int64(pattern) == magnitude else result | _NEGATIVE


@scalar
def _product(x, y):
    """What a product of two classes adds to an element's status, one of them infinite or a NaN."""
    if (x | y) & (_NAN | _ZERO):
        return _NAN
    return _MINUS if (x ^ y) & _NEGATIVE else _PLUS


@scalar
def _columns(b, matrix, rule, classes, terms, columns):
    """Fill in the classes of a matrix; list its infinities and NaNs, and return how many they are."""
    count = 0
    for k in range(b.shape[1]):
        for j in range(b.shape[2]):
            seen = _class(b[matrix, k, j], rule)
            classes[k, j] = seen
            if seen & (_INFINITE | _NAN):
                if count < terms.size:
                    terms[count], columns[count] = k, j
                count += 1
    return count


@scalar
def _statuses(row, classes, terms, columns, count, status):
    """Fill in what every element of a row meets; `row` has the classes of its factors."""
    status[:] = 0
    for k in range(row.size):
        if row[k] & _NAN:
            status[:] = _NAN
            return
        if row[k] & _INFINITE:
            for j in range(status.size):
                status[j] |= _product(row[k], classes[k, j])
    for i in range(count):
        status[columns[i]] |= _product(row[terms[i]], classes[terms[i], columns[i]])


@scalar
def _decide(pattern, status, mark, infinity, sign):
    """Return (result, mark) of an element whose C has this pattern; the mark is 0 if the result is final.

    A mark of 3 or 5 says that the sum of the other products overflows up or down.
    """
    magnitude = np.int64(pattern) & (sign - 1)
    negative = np.int64(pattern) != magnitude
    if magnitude > infinity:
        status |= _NAN
    if magnitude == infinity:
        status |= _MINUS if negative else _PLUS
    if status & _NAN or status == _PLUS | _MINUS:
        return sign - 1, 0
    if mark == (5 if status == _PLUS else 3):
        return np.int64(pattern), mark
    return infinity if status == _PLUS else infinity | sign, 0


@kernel
def resolve(a, b, batch_a, batch_b, d, start, stop, unit, infinity, sign, overflows, left):
    """Decide elements of rows `start` to `stop` of d (products * M, N), which holds their C.

    `left` is as `halfsim.kernels.fused.fused` left it and loses the marks of what is decided. `infinity` and `sign` are
    patterns of d's format; `overflows` says whether finite products can overflow it.
    """
    rows, columns = a.shape[1], b.shape[2]
    classes = np.zeros((b.shape[1], columns), np.uint8)
    own, status = np.zeros(a.shape[2], np.uint8), np.zeros(columns, np.uint8)
    where_k, where_j = np.zeros(0, np.int64), np.zeros(0, np.int64)
    count = 0
    packed = -1
    for row in range(start, stop):
        seen = 0
        for j in range(columns):
            seen |= left[row, j] & 1
        if seen == 0:
            continue
        matrix = batch_b[row // rows]
        if matrix != packed:
            packed = matrix
            count = _columns(b, packed, unit.right, classes, where_k, where_j)
            if count > where_k.size:
                where_k, where_j = np.zeros(count, np.int64), np.zeros(count, np.int64)
                _columns(b, packed, unit.right, classes, where_k, where_j)
        for k in range(a.shape[2]):
            own[k] = _class(a[batch_a[row // rows], row % rows, k], unit.left)
        _statuses(own, classes, where_k, where_j, count, status)
        for j in range(columns):
            mark = left[row, j]
            if mark & 1 and mark < 8:
                mark = mark if overflows else 1
                d[row, j], left[row, j] = _decide(d[row, j], np.int64(status[j]), mark, infinity, sign)
