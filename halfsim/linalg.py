"""Matrix products, dot products and sums, accumulated exactly as a row says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from halfsim.accumulators import FP32, Accumulator, factor_formats
from halfsim.arguments import names_its_calls
from halfsim.arrays import check_out, deliver
from halfsim.device_products import GpuProduct
from halfsim.factors import factor, one
from halfsim.flags import Flagged
from halfsim.kernels import product
from halfsim.kernels.product import Operands
from halfsim.shapes import addend, matrices, sum_layout, vectors
from halfsim.tensorcores import AccumulatorLike, as_accumulator
from halfsim.totals import Summands, evaluate_sums

__all__ = ["MatrixProduct", "Total", "dot", "matmul", "sum"]


@names_its_calls
class MatrixProduct:
    """A product with an optional addend, and its flagged twin.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hs.matmul.flagged(np.float16([[1, 2**-11]]), np.float16([[1], [1]]), accumulator=hs.FP16)
    Flagged(value=array([[1.]], dtype=float16), flags=array([[1]], dtype=uint8))
    """

    def __init__(self, name: str, pair: Callable[..., tuple[tuple[int, ...], Operands]], doc: str) -> None:
        self.name = name
        self._pair = pair
        self.__doc__ = doc

    def __call__(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = FP32,
        out: NDArray[Any] | None = None,
        device: str | None = None,
    ) -> Any:
        """Compute the product; see the docstring of the object."""
        return self._compute(self.name, A, B, C, accumulator, out, device, False)[0]

    def flagged(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = FP32,
        out: NDArray[Any] | None = None,
        device: str | None = None,
    ) -> Flagged:
        """Compute the product and, per output element, the OR of the flags of all its roundings."""
        return Flagged(*self._compute(f"{self.name}.flagged", A, B, C, accumulator, out, device, True))

    def _compute(
        self,
        name: str,
        A: Any,
        B: Any,
        C: Any,
        accumulator: AccumulatorLike,
        out: NDArray[Any] | None,
        device: str | None,
        flagged: bool,
    ) -> tuple[Any, Any]:
        row = as_accumulator(accumulator, name)
        gpu = None if device is None else GpuProduct(name, device, A, B, C, out)
        if gpu is not None and gpu.resident:
            factors = gpu.factor("A", A, 0, row, accumulator), gpu.factor("B", B, 1, row, accumulator)
            shape, operands = gpu.pair(self._pair, *factors)
            return _deliver(gpu, name, row, operands, gpu.addend(C, shape), shape, out, flagged)
        left = factor(name, "A", A, 0, row, accumulator, numbers=gpu is None)
        right = factor(name, "B", B, 1, row, accumulator, numbers=gpu is None)
        shape, operands = self._pair(name, left, right)
        return _deliver(gpu, name, row, operands, addend(name, C, shape), shape, out, flagged)

    def __repr__(self) -> str:
        return f"<halfsim product {self.name}>"


@names_its_calls
class Total:
    """The sum of an array's elements along axes, and its flagged twin."""

    def __init__(self, name: str, doc: str) -> None:
        self.name = name
        self.__doc__ = doc

    def __call__(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = FP32,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
        device: str | None = None,
    ) -> Any:
        """Compute the sum; see the docstring of the object."""
        return self._compute(self.name, x, axis, accumulator, keepdims, out, device, False)[0]

    def flagged(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = FP32,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
        device: str | None = None,
    ) -> Flagged:
        """Compute the sum and, per output element, the OR of the flags of all its roundings."""
        return Flagged(*self._compute(f"{self.name}.flagged", x, axis, accumulator, keepdims, out, device, True))

    def _compute(
        self,
        name: str,
        x: Any,
        axis: int | Sequence[int] | None,
        accumulator: AccumulatorLike,
        keepdims: bool,
        out: NDArray[Any] | None,
        device: str | None,
        flagged: bool,
    ) -> tuple[Any, Any]:
        row = as_accumulator(accumulator, name)
        ones = one(name, factor_formats(row)[0])
        gpu = None if device is None else GpuProduct(name, device, x, out)
        if gpu is not None and gpu.resident:
            array = gpu.factor("x", x, 1, row, accumulator)
            how = sum_layout(name, tuple(array.shape), axis, keepdims)
            return _deliver(gpu, name, row, gpu.summands(array, ones, how), None, how.shape, out, flagged)
        words = factor(name, "x", x, 1, row, accumulator, numbers=gpu is None)
        how = sum_layout(name, words.shape, axis, keepdims)
        given = Summands(words, ones, how, row)
        operands = given if gpu is None else given.operands()
        return _deliver(gpu, name, row, operands, None, how.shape, out, flagged)

    def __repr__(self) -> str:
        return f"<halfsim reduction {self.name}>"


def _deliver(
    gpu: GpuProduct | None, name: str, row: Accumulator, operands: Any, c: Any, shape: Any, out: Any, flagged: bool
) -> tuple[Any, Any]:
    """Compute a product and hand it over: (value, flags)."""
    chosen = product.plan(row)
    if out is not None:
        check = gpu.check_out if gpu is not None and gpu.resident else partial(check_out, name)
        check(out, shape, chosen.storage.values)
    if flagged and not chosen.has_flags:
        raise ValueError(
            f"{name}: {type(row).__name__} has no flags, as matrix units raise none; drop .flagged, or pass a "
            "Sequential, Pairwise, Compensated or Exact accumulator"
        )
    if gpu is not None:
        return gpu.compute(chosen, operands, c, shape, out, flagged)
    compute: Any = evaluate_sums if isinstance(operands, Summands) else product.evaluate
    value, flags = compute(chosen, operands, c, flagged)
    result = deliver(name, value.reshape(shape), out, True)
    return result, flags.reshape(shape)[()] if flagged else None


_PARAMETERS = """
accumulator : Sequential, Pairwise, Compensated, Exact, a matrix unit or str
    How the products are summed; by default `FP32`. Matrix units are `FusedDotAdd`, `ExactDotAdd`, `PairwiseDotAdd` and
    `TwoStageDotAdd`; ``"h100:f32"`` or ``"h100:f32:wgmma"`` names one of a GPU.
out : array, optional
    Where the result is written; it must have the result's shape and dtype.
device : str, optional
    ``"cuda"`` computes the same bits on the current CUDA device. Operands may then lie in its memory, and so does the
    result if one does; see `halfsim.device.Gpu`.

Returns
-------
array or scalar
    float16 when the accumulator's format is binary16, float32 when binary32 holds it, else float64. The ``flagged``
    twin returns it with a uint8 array: the OR of the `Flags` of all roundings behind each element. NaN results are
    canonical: the positive quiet NaN without payload, or all ones for `FusedDotAdd`.

Raises
------
TypeError
    If an operand has not the dtype that the accumulator takes, or `out` not that of the result.
ValueError
    If shapes or axes do not fit, `out` is read-only, a float32 operand holds what its format lacks, an accumulator or
    the device is unknown, or flags are asked of a matrix unit, which defines none.
RuntimeError
    If `device` is ``"cuda"`` and no GPU can be used.
"""

_FACTORS = """float16, or as the accumulator's `inputs` say: bfloat16, float8_e5m2 or float8_e4m3fn of
    ml_dtypes, or float32 that holds numbers of the format only, as `convert` returns them."""

_ADDEND = """C : float16 or float32 array, optional
    Where the sums start, broadcast to the result; +0 by default. It is rounded once to the accumulator's format, as
    the accumulator rounds, where that format does not hold it; `Exact` takes it as it is.
"""

matmul = MatrixProduct(
    "matmul",
    matrices,
    f"""matmul(A, B, C=None, *, accumulator=FP32, out=None, device=None)

Return A @ B + C, every element summed as an accumulator says.

Parameters
----------
A, B : array
    (..., M, K) and (..., K, N); leading dimensions broadcast, and vectors count as in `numpy.matmul`.
    {_FACTORS}
{_ADDEND.strip()}
{_PARAMETERS.strip()}

Notes
-----
Every element is a reduction of IEEE 754-2019 §9.4, which leaves order and precision of the sum open; here the
accumulator says both. The sum of no terms (K = 0) is C, rounded to the result's format. The result is the same for any
number of threads.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> A = np.array([[1, 2**-12, -1]], np.float16)
>>> B = np.ones((3, 1), np.float16)
>>> hs.matmul(A, B, accumulator=hs.FP16)
array([[0.]], dtype=float16)
>>> hs.matmul(A, B, accumulator="h100:f32")
array([[0.00024414]], dtype=float32)
""",
)

dot = MatrixProduct(
    "dot",
    vectors,
    f"""dot(A, B, C=None, *, accumulator=FP32, out=None, device=None)

Return the sum of A * B along the last axis, plus C.

Parameters
----------
A, B : array
    (..., K) each; leading dimensions broadcast, as in `numpy.vecdot`. {_FACTORS}
{_ADDEND.strip()}
{_PARAMETERS.strip()}

Notes
-----
A reduction of IEEE 754-2019 §9.4, which leaves order and precision of the sum open; here the accumulator says both.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> ones = np.ones(3000, np.float16)
>>> float(hs.dot(ones, ones, accumulator=hs.FP16)), float(hs.dot(ones, ones))
(2048.0, 3000.0)
""",
)

sum = Total(
    "sum",
    f"""sum(x, axis=None, *, accumulator=FP32, keepdims=False, out=None, device=None)

Return the sum of an array's elements, each the product with 1 of a dot product.

Parameters
----------
x : array
    Summands, taken in C order of the axes summed over. {_FACTORS}
axis : int or tuple of int, optional
    Axes to sum over; all by default.
keepdims : bool
    Whether axes summed over stay, with length 1.
{_PARAMETERS.strip()}

Notes
-----
A reduction of IEEE 754-2019 §9.4, which leaves order and precision of the sum open; here the accumulator says both.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> x = np.full((2, 3000), 1, np.float16)
>>> hs.sum(x, axis=1, accumulator=hs.FP16).tolist()
[2048.0, 2048.0]
""",
)
