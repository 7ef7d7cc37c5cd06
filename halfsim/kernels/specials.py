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
def _met(x, y):
    """What the product of two classes adds to an element's status."""
    result = _MINUS if (x ^ y) & _NEGATIVE else _PLUS
    result = _NAN if (x | y) & (_NAN | _ZERO) else result
    return result if (x | y) & (_NAN | _INFINITE) else 0


@scalar
def _columns(b, matrix, rule, classes, starts, columns):
    """Fill in the classes of a matrix; list the columns of its infinities and NaNs, row after row.

    Those of row k are ``columns[starts[k] : starts[k + 1]]``; what the list has no room for is only counted.
    """
    count = 0
    for k in range(b.shape[1]):
        for j in range(b.shape[2]):
            seen = _class(b[matrix, k, j], rule)
            classes[k, j] = seen
            if seen & (_INFINITE | _NAN):
                if count < columns.size:
                    columns[count] = j
                count += 1
        starts[k + 1] = count
    return count


@scalar
def _row_statuses(row, rule, classes, starts, columns, status):
    """Fill in what every element meets of a row that has an infinity or a NaN itself."""
    for k in range(row.size):
        own = _class(row[k], rule)
        if own & _NAN:
            for j in range(status.size):
                status[j] = _NAN
            return
        if own & _INFINITE or (starts[k + 1] - starts[k]) * 8 > status.size:
            for j in range(status.size):
                status[j] |= _met(own, classes[k, j])
        else:
            for i in range(starts[k], starts[k + 1]):
                status[columns[i]] |= _met(own, classes[k, columns[i]])


@scalar
def _column_statuses(row, rule, classes, starts, columns, status):
    """Fill in what the elements of other rows meet, in the columns of infinities and NaNs."""
    for k in range(row.size):
        if starts[k] != starts[k + 1]:
            own = _class(row[k], rule)
            for i in range(starts[k], starts[k + 1]):
                status[columns[i]] |= _met(own, classes[k, columns[i]])


@scalar
def _decide(pattern, status, mark, infinity, sign, nan):
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
        return nan, 0
    if mark == (5 if status == _PLUS else 3):
        return np.int64(pattern), mark
    return infinity if status == _PLUS else infinity | sign, 0


@kernel
def resolve(a, b, batch_a, batch_b, d, start, stop, unit, infinity, sign, overflows, left):
    """Decide elements of rows `start` to `stop` of d (products * M, N), which holds their C.

    `left` is as `halfsim.kernels.fused.fused` returned it and loses the marks of what is decided. `infinity` and
    `sign` are patterns of d's format; `overflows` says whether finite products can overflow it.
    """
    rows, columns = a.shape[1], b.shape[2]
    classes, status = np.zeros((b.shape[1], columns), np.uint8), np.zeros(columns, np.uint8)
    starts, where = np.zeros(b.shape[1] + 1, np.int64), np.zeros(0, np.int64)
    packed = -1
    for row in range(start, stop):
        marked = 0
        for j in range(columns):
            marked += left[row - start, j] & 1
        if marked == 0:
            continue
        matrix = batch_b[row // rows]
        if matrix != packed:
            packed = matrix
            count = _columns(b, packed, unit.right, classes, starts, where)
            if count > where.size:
                where = np.zeros(count, np.int64)
                _columns(b, packed, unit.right, classes, starts, where)
        for j in range(columns):
            status[j] = 0
        own = a[batch_a[row // rows], row % rows]
        if marked == columns:
            _row_statuses(own, unit.left, classes, starts, where, status)
        else:
            _column_statuses(own, unit.left, classes, starts, where, status)
        for j in range(columns):
            mark = left[row - start, j]
            if mark & 1 and mark < 8:
                mark = mark if overflows else 1
                d[row, j], left[row - start, j] = _decide(
                    d[row, j], np.int64(status[j]), mark, infinity, sign, unit.nan
                )
