"""Copies of transposed matrices, eight by eight elements of 16 or 32 bits: NumPy's own take one at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from halfsim.core._jit import kernel
from halfsim.kernels.vectorcode import INT, LONG, Memory, pointers

__all__ = ["transposed"]

_SIDE = 8
_LINE = 32
"""Columns read at a time: those of a line of a cache."""
_WORTH = 1 << 12
_WORDS: dict[int, np.dtype[Any]] = {2: np.dtype(np.uint16), 4: np.dtype(np.uint32)}
_LOW = [place for i in range(_SIDE // 2) for place in (i, i + _SIDE)]
_HIGH = [place + _SIDE // 2 for place in _LOW]


@intrinsic
def _turn(typingctx, x, start, line, z, target, length):
    """Write the transpose of 8 x 8 elements; rows of x are `line` apart from `start` on, those of z `length`."""

    def codegen(context, builder, signature, args):
        source, result = pointers(context, builder, (x, z), (args[0], args[3]))
        memory = Memory(builder, _SIDE)

        def place(first: Any, step: Any, row: int) -> Any:
            return builder.add(first, builder.mul(step, LONG(row)))

        rows = [memory.load(source, place(args[1], args[2], row)).value for row in range(_SIDE)]
        for _ in range(3):
            # Interleaved with that half the rows away, three times, every element is at its transposed place.
            rows = [
                builder.shuffle_vector(rows[i], rows[i + _SIDE // 2], ir.Constant(ir.VectorType(INT, _SIDE), half))
                for i in range(_SIDE // 2)
                for half in (_LOW, _HIGH)
            ]
        for row, value in enumerate(rows):
            builder.store(value, memory.address(result, place(args[4], args[5], row)), align=1)
        return context.get_dummy_value()

    return types.none(x, types.int64, types.int64, z, types.int64, types.int64), codegen


@kernel
def _transpose(x, z):
    """Write the transposes of matrices x (count, rows, columns) to z (count, columns, rows)."""
    count, rows, columns = x.shape
    flat, turned = x.reshape(-1), z.reshape(-1)
    whole_rows, whole_columns = rows // _SIDE * _SIDE, columns // _SIDE * _SIDE
    for k in range(count):
        first = k * rows * columns
        for left in range(0, whole_columns, _LINE):
            right = min(left + _LINE, whole_columns)
            for i in range(0, whole_rows, _SIDE):
                for j in range(left, right, _SIDE):
                    _turn(flat, first + i * columns + j, columns, turned, first + j * rows + i, rows)
        for i in range(rows):
            for j in range(whole_columns if i < whole_rows else 0, columns):
                z[k, j, i] = x[k, i, j]


def transposed(x: NDArray[Any]) -> NDArray[Any] | None:
    """Return a contiguous copy of matrices whose transposes are contiguous; None for others, and for small ones."""
    dtype = _WORDS.get(x.itemsize)
    if dtype is None or x.ndim < 2 or x.size < _WORTH or numba.config.DISABLE_JIT:
        return None
    source = x.swapaxes(-1, -2)
    if not source.flags.carray or not x.dtype.isnative:
        return None
    z, (rows, columns) = np.empty(x.shape, x.dtype), x.shape[-2:]
    _transpose(source.view(dtype).reshape(-1, columns, rows), z.view(dtype).reshape(-1, rows, columns))
    return z
