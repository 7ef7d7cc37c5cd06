"""Products and sums with ``device="cuda"``: how operands in a GPU's memory pair up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import Accumulator, factor_formats
from halfsim.arrays import contiguous, on_gpu
from halfsim.device import Gpu
from halfsim.factors import factor
from halfsim.formats import BINARY16, BINARY32
from halfsim.kernels.product import Operands, Plan, evaluate_general
from halfsim.shapes import SumLayout, addend, check_addend
from halfsim.tensorcores import AccumulatorLike

__all__ = ["GpuProduct"]

_NATIVE = {BINARY16: (np.dtype(np.float16), np.uint16), BINARY32: (np.dtype(np.float32), np.uint32)}


class GpuProduct(Gpu):
    """One product or sum on the current CUDA device; see `halfsim.device.Gpu`."""

    def factor(self, argument: str, value: Any, position: int, row: Accumulator, given: AccumulatorLike) -> Any:
        """Return the patterns of a factor on the device, of the value's shape and any strides.

        Factors of binary16 and binary32 are read in place; of other formats every number is checked, on the host.
        """
        if on_gpu(value):
            array = self.array(argument, value)
            dtype, words = _NATIVE.get(factor_formats(row)[position], (None, None))
            if array.dtype == dtype:
                return self.kernels.view(array, words)
            shape = tuple(array.shape)
            value = self.kernels.download(self.flat(array, shape)).reshape(shape)
        return self.kernels.upload(contiguous(factor(self.function, argument, value, position, row, given)))

    def pair(
        self, pair: Callable[..., tuple[tuple[int, ...], Operands]], left: Any, right: Any
    ) -> tuple[tuple[int, ...], Operands]:
        """Return the shape of a product and its operands, by the rule that pairs arrays of the host."""
        shape, operands = pair(self.function, _contiguous_standin(left), _contiguous_standin(right))
        a, b = (
            self.kernels.view(self.flat(x, tuple(x.shape)), shape=paired.shape)
            for x, paired in ((left, operands.a), (right, operands.b))
        )
        return shape, Operands(a, b, self.kernels.upload(operands.batch_a), self.kernels.upload(operands.batch_b))

    def summands(self, array: Any, one: NDArray[Any], how: SumLayout) -> Operands:
        """Return sums as products with a row of ones."""
        shape, strides = (tuple(values[i] for i in how.order) for values in (array.shape, array.strides))
        columns = self.flat(self.kernels.view(array, shape=shape, strides=strides), shape)
        b = self.kernels.view(columns, shape=(1, how.terms, how.columns))
        only = self.kernels.upload(np.zeros(1, np.int64))
        return Operands(self.kernels.upload(np.full((1, 1, how.terms), one)), b, only, only)

    def addend(self, C: Any, shape: tuple[int, ...]) -> Any:
        """Return C broadcast to the result, flat and contiguous."""
        if C is None:
            return None
        if not on_gpu(C):
            return self.kernels.upload(addend(self.function, C, shape)).reshape(-1)
        array = self.array("C", C)
        check_addend(self.function, f"{array.dtype} array", array.dtype, tuple(array.shape), shape)
        words = self.kernels.view(array, f"u{array.dtype.itemsize}")
        return self.kernels.view(self.flat(words, shape), array.dtype)

    def compute(
        self, chosen: Plan, operands: Operands, c: Any, shape: tuple[int, ...], out: Any, flagged: bool
    ) -> tuple[Any, Any]:
        """Compute a product and hand it over: (value, flags)."""
        if not self.resident:
            operands = Operands(*map(self.kernels.upload, operands))
            c = None if c is None else self.kernels.upload(c.reshape(-1))
        size = operands.batch_a.size * operands.a.shape[1] * operands.b.shape[2]
        words, flags = evaluate_general(self.kernels, chosen, operands, c, self.kernels.indices(size))
        value = self.deliver(words, shape, chosen.storage.values, out, True)
        return value, self.deliver(flags, shape, flags.dtype, None, True) if flagged else None


def _contiguous_standin(array: Any) -> NDArray[Any]:
    """Return an array of a shape in C order, without memory: its elements must not be read."""
    shape = tuple(array.shape)
    strides = np.cumprod((array.dtype.itemsize, *shape[:0:-1]))[::-1][: len(shape)]
    return np.lib.stride_tricks.as_strided(np.empty(1, array.dtype), shape, tuple(map(int, strides)))
