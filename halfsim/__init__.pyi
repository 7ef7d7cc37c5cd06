"""The public names, in one list: what type checkers read, and where `halfsim` finds each name when it is used."""

from typing import Any as _Any

import numpy as np
from numpy.typing import NDArray as _NDArray

from halfsim import tensorcores as tensorcores
from halfsim import torch as torch  # optional
from halfsim._callables import Binary as _Binary
from halfsim._callables import Cast as _Cast
from halfsim._callables import Integral as _Integral
from halfsim._callables import Product as _Product
from halfsim._callables import Scaling as _Scaling
from halfsim._callables import Sum as _Sum
from halfsim._callables import Ternary as _Ternary
from halfsim._callables import Unary as _Unary
from halfsim._version import __version__ as __version__
from halfsim.accumulators import FP16 as FP16
from halfsim.accumulators import FP32 as FP32
from halfsim.accumulators import Compensated as Compensated
from halfsim.accumulators import Exact as Exact
from halfsim.accumulators import FusedDotAdd as FusedDotAdd
from halfsim.accumulators import Pairwise as Pairwise
from halfsim.accumulators import Sequential as Sequential
from halfsim.arrays import from_bits as from_bits
from halfsim.arrays import to_bits as to_bits
from halfsim.core.compare import Class as Class
from halfsim.environment import ARM as ARM
from halfsim.environment import ARM_DEFAULT_NAN as ARM_DEFAULT_NAN
from halfsim.environment import CUDA as CUDA
from halfsim.environment import IEEE as IEEE
from halfsim.environment import RISCV as RISCV
from halfsim.environment import X86 as X86
from halfsim.environment import DefaultNaN as DefaultNaN
from halfsim.environment import Environment as Environment
from halfsim.environment import InvalidInteger as InvalidInteger
from halfsim.environment import NaNOperand as NaNOperand
from halfsim.environment import NaNRule as NaNRule
from halfsim.environment import Tininess as Tininess
from halfsim.explanation import compare_dot as compare_dot
from halfsim.explanation import explain as explain
from halfsim.explanation import explain_dot as explain_dot
from halfsim.flags import Flagged as Flagged
from halfsim.flags import Flags as Flags
from halfsim.formats import BFLOAT16 as BFLOAT16
from halfsim.formats import BINARY16 as BINARY16
from halfsim.formats import BINARY32 as BINARY32
from halfsim.formats import BINARY64 as BINARY64
from halfsim.formats import E4M3 as E4M3
from halfsim.formats import E5M2 as E5M2
from halfsim.formats import TF32 as TF32
from halfsim.formats import Format as Format
from halfsim.formats import Specials as Specials
from halfsim.kernels.threads import get_num_threads as get_num_threads
from halfsim.kernels.threads import set_num_threads as set_num_threads
from halfsim.mfma import ExactDotAdd as ExactDotAdd
from halfsim.mfma import PairwiseDotAdd as PairwiseDotAdd
from halfsim.mfma import TwoStageDotAdd as TwoStageDotAdd
from halfsim.operation import Operation as Operation
from halfsim.rounding import Rounding as Rounding
from halfsim.rounding import Stochastic as Stochastic

# What can be called, as `python -m tests.typing.stub` writes it.

convert: _Cast  # from halfsim.conversion
"""convert(x, to, *, rounding='rne', environment=IEEE, out=None, where=True, exact=False, saturate=False, device=None)

Round numbers to a format, or to integers, with one rounding whatever the width of the source.

Parameters
----------
x : array or scalar
    float16, float32, float64, any integer dtype up to 64 bits, or the bfloat16, float8_e5m2 and float8_e4m3fn of
    ml_dtypes. Python floats count as float64, integers as those of 64 bits.
to : Format or numpy integer dtype
    What to round to.
rounding : Rounding, Stochastic or str
    Rounding direction, by default ``"rne"``.
environment : Environment
    NaN rule, tininess, flushing (of inputs in the source's format, of results in the target's), integer results of
    invalid conversions; by default `IEEE`.
out : array, optional
    Where the result is written; of the result's dtype and the shape of `x`.
where : bool array, optional
    Elements to convert; elsewhere `out` is left alone (a new result is zero there, its flags 0).
exact : bool
    To integers: whether a value that is not integral raises inexact.
saturate : bool
    To formats without infinity (E4M3): whether overflow gives the largest finite number instead of NaN.
device : str, optional
    ``"cuda"`` computes the same bits on the current CUDA device; `x` may then lie in its memory, and so does the result
    if it does; see `halfsim.device.Gpu`. There `x` is float16, float32, float64 or integers.

Returns
-------
array or scalar
    Of `to`'s dtype for integers; float16, float32, float64 for BINARY16, BINARY32, BINARY64; for other formats the
    values held exactly in float32, or float64 where those are too narrow. ``convert.flagged(...)`` returns it with a
    uint8 array of `Flags` per element.

Raises
------
TypeError
    For other dtypes of `x`, `out` or `where`, other targets, or integers to integers.
ValueError
    For an unknown rounding or device, or an `out` or `where` of the wrong shape.
RuntimeError
    If `device` is ``"cuda"`` and no GPU can be used.

Notes
-----
IEEE 754-2019 §5.4.1 (convertToInteger, convertFromInt) and §5.4.2 (convertFormat). A signaling NaN raises invalid and
is quieted; payloads keep their leading bits where the environment passes NaNs on. Out of range, infinity and NaN to an
integer are invalid alone, without inexact; so is an infinity in a format without one.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.convert(1 + 2**-11 + 2**-40, hs.BINARY16)
np.float16(1.001)
>>> hs.convert.flagged(np.float16([2.5, np.inf]), np.int8, rounding="rtz")
Flagged(value=array([  2, 127], dtype=int8), flags=array([ 0, 16], dtype=uint8))
>>> hs.convert(np.float32([464.0, 464.1]), hs.E4M3)
array([448.,  nan], dtype=float32)
"""

dot: _Product[_Any]  # from halfsim.linalg
"""dot(A, B, C=None, *, accumulator=FP32, out=None, device=None)

Return the sum of A * B along the last axis, plus C.

Parameters
----------
A, B : array
    (..., K) each; leading dimensions broadcast, as in `numpy.vecdot`. float16, or as the accumulator's `inputs` say:
    bfloat16, float8_e5m2 or float8_e4m3fn of
    ml_dtypes, or float32 that holds numbers of the format only, as `convert` returns them.
C : float16 or float32 array, optional
    Where the sums start, broadcast to the result; +0 by default. It is rounded once to the accumulator's format, as
    the accumulator rounds, where that format does not hold it; `Exact` takes it as it is.
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

Notes
-----
A reduction of IEEE 754-2019 §9.4, which leaves order and precision of the sum open; here the accumulator says both.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> ones = np.ones(3000, np.float16)
>>> float(hs.dot(ones, ones, accumulator=hs.FP16)), float(hs.dot(ones, ones))
(2048.0, 3000.0)
"""

matmul: _Product[_NDArray[_Any]]  # from halfsim.linalg
"""matmul(A, B, C=None, *, accumulator=FP32, out=None, device=None)

Return A @ B + C, every element summed as an accumulator says.

Parameters
----------
A, B : array
    (..., M, K) and (..., K, N); leading dimensions broadcast, and vectors count as in `numpy.matmul`.
    float16, or as the accumulator's `inputs` say: bfloat16, float8_e5m2 or float8_e4m3fn of
    ml_dtypes, or float32 that holds numbers of the format only, as `convert` returns them.
C : float16 or float32 array, optional
    Where the sums start, broadcast to the result; +0 by default. It is rounded once to the accumulator's format, as
    the accumulator rounds, where that format does not hold it; `Exact` takes it as it is.
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
"""

sum: _Sum  # from halfsim.linalg
"""sum(x, axis=None, *, accumulator=FP32, keepdims=False, out=None, device=None)

Return the sum of an array's elements, each the product with 1 of a dot product.

Parameters
----------
x : array
    Summands, taken in C order of the axes summed over. float16, or as the accumulator's `inputs` say: bfloat16,
    float8_e5m2 or float8_e4m3fn of
    ml_dtypes, or float32 that holds numbers of the format only, as `convert` returns them.
axis : int or tuple of int, optional
    Axes to sum over; all by default.
keepdims : bool
    Whether axes summed over stay, with length 1.
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

Notes
-----
A reduction of IEEE 754-2019 §9.4, which leaves order and precision of the sum open; here the accumulator says both.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> x = np.full((2, 3000), 1, np.float16)
>>> hs.sum(x, axis=1, accumulator=hs.FP16).tolist()
[2048.0, 2048.0]
"""

add: _Binary[np.float16]  # from halfsim.operations
"""add(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Sum a + b, rounded once.

Notes
-----
addition, IEEE 754-2019 §5.4.1. inf - inf is invalid; an exactly zero sum is +0, or -0 under roundTowardNegative (§6.3).
Flags: inexact, overflow, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.add(np.float16(1), np.float16(2**-11), rounding='rup')
np.float16(1.001)
"""

divide: _Binary[np.float16]  # from halfsim.operations
"""divide(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Quotient a / b, rounded once.

Notes
-----
division, IEEE 754-2019 §5.4.1. 0/0 and inf/inf are invalid; a finite nonzero number over zero raises divideByZero;
inf/0 raises nothing. Flags: inexact, underflow, overflow, divideByZero, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.divide.flagged(np.float16(1), np.float16(0))
Flagged(value=np.float16(inf), flags=np.uint8(8))
"""

fma: _Ternary[np.float16]  # from halfsim.operations
"""fma(a, b, c, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Fused multiply-add a * b + c, rounded once.

Notes
-----
fusedMultiplyAdd, IEEE 754-2019 §5.4.1. 0 * inf is invalid, beside a quiet NaN c as the environment says; an exactly
zero sum is as in `add`. Flags: inexact, underflow, overflow, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> x = hs.from_bits(0x3C01)
>>> hs.fma(x, x, hs.negative(hs.multiply(x, x)))
np.float16(9.5e-07)
"""

logb: _Unary[np.float16]  # from halfsim.operations
r"""logb(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Exponent e of a = m * 2**e, 1 <= \|m\| < 2, as binary16.

Notes
-----
logB, IEEE 754-2019 §5.3.3. Subnormals count as if normalised; logb(0) is -inf and raises divideByZero; logb(inf) is
+inf. Flags: divideByZero, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.logb(np.array([10, 6e-8], np.float16))
array([  3., -24.], dtype=float16)
"""

max_num: _Binary[np.float16]  # from halfsim.operations
"""max_num(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand.

Notes
-----
maxNum, IEEE 754-2008 §5.3.1. The number beside a quiet NaN; a signaling NaN gives a NaN and raises invalid. -0 orders
below +0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.max_num(np.float16(1), np.float16(2))
np.float16(2.0)
"""

max_num_mag: _Binary[np.float16]  # from halfsim.operations
"""max_num_mag(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand by magnitude.

Notes
-----
maxNumMag, IEEE 754-2008 §5.3.1. The number beside a quiet NaN; a signaling NaN gives a NaN and raises invalid. -0
orders below +0. Operands of equal magnitude are compared with their signs. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.max_num_mag(np.float16(-3), np.float16(2))
np.float16(-3.0)
"""

maximum: _Binary[np.float16]  # from halfsim.operations
"""maximum(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand.

Notes
-----
maximum, IEEE 754-2019 §9.6. A NaN operand gives a NaN; -0 orders below +0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.maximum(np.float16(-0.0), np.float16(0))
np.float16(0.0)
"""

maximum_magnitude: _Binary[np.float16]  # from halfsim.operations
"""maximum_magnitude(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand by magnitude.

Notes
-----
maximumMagnitude, IEEE 754-2019 §9.6. A NaN operand gives a NaN; -0 orders below +0. Operands of equal magnitude are
compared with their signs. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.maximum_magnitude(np.float16(-3), np.float16(2))
np.float16(-3.0)
"""

maximum_magnitude_number: _Binary[np.float16]  # from halfsim.operations
"""maximum_magnitude_number(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand by magnitude.

Notes
-----
maximumMagnitudeNumber, IEEE 754-2019 §9.6. The number beside a NaN, even a signaling one, which raises invalid; -0
orders below +0. Operands of equal magnitude are compared with their signs. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.maximum_magnitude_number(np.float16(-3), np.float16(2))
np.float16(-3.0)
"""

maximum_number: _Binary[np.float16]  # from halfsim.operations
"""maximum_number(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand.

Notes
-----
maximumNumber, IEEE 754-2019 §9.6. The number beside a NaN, even a signaling one, which raises invalid; -0 orders below
+0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.maximum_number(np.float16(np.nan), np.float16(-2))
np.float16(-2.0)
"""

maxsh: _Binary[np.float16]  # from halfsim.operations
"""maxsh(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Larger operand.

Notes
-----
x86 maximum, Intel SDM [@intel-sdm], VMINSH and VMAXSH. The second operand if either is a NaN or both are zeros; any NaN
raises invalid. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.maxsh(np.float16(np.nan), np.float16(1))
np.float16(1.0)
"""

min_num: _Binary[np.float16]  # from halfsim.operations
"""min_num(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand.

Notes
-----
minNum, IEEE 754-2008 §5.3.1. The number beside a quiet NaN; a signaling NaN gives a NaN and raises invalid. -0 orders
below +0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.min_num(np.float16(1), np.float16(np.nan))
np.float16(1.0)
"""

min_num_mag: _Binary[np.float16]  # from halfsim.operations
"""min_num_mag(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand by magnitude.

Notes
-----
minNumMag, IEEE 754-2008 §5.3.1. The number beside a quiet NaN; a signaling NaN gives a NaN and raises invalid. -0
orders below +0. Operands of equal magnitude are compared with their signs. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.min_num_mag(np.float16(-1), np.float16(2))
np.float16(-1.0)
"""

minimum: _Binary[np.float16]  # from halfsim.operations
"""minimum(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand.

Notes
-----
minimum, IEEE 754-2019 §9.6. A NaN operand gives a NaN; -0 orders below +0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.minimum(np.float16(1), np.float16(np.nan))
np.float16(nan)
"""

minimum_magnitude: _Binary[np.float16]  # from halfsim.operations
"""minimum_magnitude(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand by magnitude.

Notes
-----
minimumMagnitude, IEEE 754-2019 §9.6. A NaN operand gives a NaN; -0 orders below +0. Operands of equal magnitude are
compared with their signs. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.minimum_magnitude(np.float16(-1), np.float16(2))
np.float16(-1.0)
"""

minimum_magnitude_number: _Binary[np.float16]  # from halfsim.operations
"""minimum_magnitude_number(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand by magnitude.

Notes
-----
minimumMagnitudeNumber, IEEE 754-2019 §9.6. The number beside a NaN, even a signaling one, which raises invalid; -0
orders below +0. Operands of equal magnitude are compared with their signs. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.minimum_magnitude_number(np.float16(-1), np.float16(np.nan))
np.float16(-1.0)
"""

minimum_number: _Binary[np.float16]  # from halfsim.operations
"""minimum_number(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand.

Notes
-----
minimumNumber, IEEE 754-2019 §9.6. The number beside a NaN, even a signaling one, which raises invalid; -0 orders below
+0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.minimum_number(np.float16(1), np.float16(np.nan))
np.float16(1.0)
"""

minsh: _Binary[np.float16]  # from halfsim.operations
"""minsh(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Smaller operand.

Notes
-----
x86 minimum, Intel SDM [@intel-sdm], VMINSH and VMAXSH. The second operand if either is a NaN or both are zeros; any NaN
raises invalid. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.minsh(np.float16(0), np.float16(-0.0))
np.float16(-0.0)
"""

multiply: _Binary[np.float16]  # from halfsim.operations
"""multiply(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Product a * b, rounded once.

Notes
-----
multiplication, IEEE 754-2019 §5.4.1. 0 * inf is invalid. Flags: inexact, underflow, overflow, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.multiply.flagged(np.float16(6e-8), np.float16(0.5))
Flagged(value=np.float16(0.0), flags=np.uint8(3))
"""

nextdown: _Unary[np.float16]  # from halfsim.operations
"""nextdown(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Greatest binary16 number less than a.

Notes
-----
nextDown, IEEE 754-2019 §5.3.1. -nextup(-a). Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.nextdown(np.float16(np.inf))
np.float16(6.55e+04)
"""

nextup: _Unary[np.float16]  # from halfsim.operations
"""nextup(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Least binary16 number greater than a.

Notes
-----
nextUp, IEEE 754-2019 §5.3.1. Raises nothing but invalid for a signaling NaN; nextup(-smallest) is -0; not affected by
flushing. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.nextup(np.float16(0))
np.float16(6e-08)
"""

remainder: _Binary[np.float16]  # from halfsim.operations
"""remainder(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

IEEE remainder a - b * n, n the integer nearest a / b, ties to even; always exact.

Notes
-----
remainder, IEEE 754-2019 §5.3.1. A zero result has the sign of a; remainder(inf, b) and remainder(a, 0) are invalid;
remainder(a, inf) is a. It is not NumPy's remainder, whose quotient is rounded down. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.remainder(np.float16(7), np.float16(2))
np.float16(-1.0)
"""

round_to_integral: _Integral[np.float16]  # from halfsim.operations
"""round_to_integral(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Nearest integral value in the rounding direction.

Notes
-----
roundToIntegral, IEEE 754-2019 §5.9. The sign is kept; infinities stay; with ``exact=True`` a changed value raises
inexact (roundToIntegralExact). Flags: inexact, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.round_to_integral(np.float16(2.5)), hs.round_to_integral(np.float16(-0.25))
(np.float16(2.0), np.float16(-0.0))
"""

scaleb: _Scaling[np.float16]  # from halfsim.operations
"""scaleb(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

a * 2**b for an integer b, rounded once.

Notes
-----
scaleB, IEEE 754-2019 §5.3.3. Overflow and underflow as for a product; infinities and zeros stay; b of 64 bits, or 32
without sign. Flags: inexact, underflow, overflow, invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.scaleb(np.float16(1.5), -3)
np.float16(0.1875)
"""

sqrt: _Unary[np.float16]  # from halfsim.operations
"""sqrt(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Square root of a, rounded once.

Notes
-----
squareRoot, IEEE 754-2019 §5.4.1. A negative number is invalid; the root of -0 is -0 without a flag. Flags: inexact,
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.sqrt(np.float16(2))
np.float16(1.414)
"""

subtract: _Binary[np.float16]  # from halfsim.operations
"""subtract(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Difference a - b, rounded once.

Notes
-----
subtraction, IEEE 754-2019 §5.4.1. inf - inf is invalid; a NaN operand keeps its sign. Flags: inexact, overflow,
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.subtract(np.float16(1), np.float16(1), rounding='rdn')
np.float16(-0.0)
"""

absolute: _Unary[np.float16]  # from halfsim.predicates
"""absolute(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

a with a positive sign.

Notes
-----
abs, IEEE 754-2019 §5.5.1. Only the sign bit changes, of a signaling NaN too, which raises nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.absolute(np.float16(-2))
np.float16(2.0)
"""

classify: _Unary[np.uint8]  # from halfsim.predicates
"""classify(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

The `Class` of a, as its number.

Notes
-----
class, IEEE 754-2019 §5.7.2. A signaling NaN raises nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.Class(hs.classify(np.float16(-1e-7))).name
'negativeSubnormal'
"""

copysign: _Binary[np.float16]  # from halfsim.predicates
"""copysign(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

a with the sign of b.

Notes
-----
copySign, IEEE 754-2019 §5.5.1. Only the sign bit changes, of a signaling NaN too, which raises nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.copysign(np.float16(3), np.float16(-0.0))
np.float16(-3.0)
"""

equal: _Binary[np.bool]  # from halfsim.predicates
"""equal(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is equal to b.

Notes
-----
compareQuietEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.equal.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(0))
"""

equal_signaling: _Binary[np.bool]  # from halfsim.predicates
"""equal_signaling(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is equal to b.

Notes
-----
compareSignalingEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0. Flags:
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.equal_signaling.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(16))
"""

greater: _Binary[np.bool]  # from halfsim.predicates
"""greater(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than b.

Notes
-----
compareSignalingGreater, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0. Flags:
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.greater.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(16))
"""

greater_equal: _Binary[np.bool]  # from halfsim.predicates
"""greater_equal(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than or equal to b.

Notes
-----
compareSignalingGreaterEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.greater_equal.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(16))
"""

greater_equal_quiet: _Binary[np.bool]  # from halfsim.predicates
"""greater_equal_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than or equal to b.

Notes
-----
compareQuietGreaterEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals
+0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.greater_equal_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(0))
"""

greater_quiet: _Binary[np.bool]  # from halfsim.predicates
"""greater_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than b.

Notes
-----
compareQuietGreater, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.greater_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(0))
"""

greater_unordered: _Binary[np.bool]  # from halfsim.predicates
"""greater_unordered(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than b, or they are unordered.

Notes
-----
compareSignalingGreaterUnordered, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals
+0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.greater_unordered.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(16))
"""

greater_unordered_quiet: _Binary[np.bool]  # from halfsim.predicates
"""greater_unordered_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than b, or they are unordered.

Notes
-----
compareQuietGreaterUnordered, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0
equals +0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.greater_unordered_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(0))
"""

iscanonical: _Unary[np.bool]  # from halfsim.predicates
"""iscanonical(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is canonical: always true.

Notes
-----
isCanonical, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.iscanonical(np.float16(np.nan))
np.True_
"""

isfinite: _Unary[np.bool]  # from halfsim.predicates
"""isfinite(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is one of: negativeNormal, positiveNormal, negativeSubnormal, positiveSubnormal, negativeZero, positiveZero.

Notes
-----
isFinite, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.isfinite(np.float16(65504))
np.True_
"""

isinf: _Unary[np.bool]  # from halfsim.predicates
"""isinf(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is one of: negativeInfinity, positiveInfinity.

Notes
-----
isInfinite, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.isinf(np.float16(-np.inf))
np.True_
"""

isnan: _Unary[np.bool]  # from halfsim.predicates
"""isnan(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is one of: signalingNaN, quietNaN.

Notes
-----
isNaN, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.isnan(np.float16(np.nan))
np.True_
"""

isnormal: _Unary[np.bool]  # from halfsim.predicates
"""isnormal(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is one of: negativeNormal, positiveNormal.

Notes
-----
isNormal, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.isnormal(np.float16(1))
np.True_
"""

issignaling: _Unary[np.bool]  # from halfsim.predicates
"""issignaling(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is a signaling NaN.

Notes
-----
isSignaling, IEEE 754-2019 §5.7.2. A signaling NaN raises nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.issignaling(hs.from_bits([0x7C01, 0x7E01]))
array([ True, False])
"""

issubnormal: _Unary[np.bool]  # from halfsim.predicates
"""issubnormal(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is one of: negativeSubnormal, positiveSubnormal.

Notes
-----
isSubnormal, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.issubnormal(np.float16(1e-7))
np.True_
"""

iszero: _Unary[np.bool]  # from halfsim.predicates
"""iszero(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is one of: negativeZero, positiveZero.

Notes
-----
isZero, IEEE 754-2019 §5.7.2. Signaling NaNs raise nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.iszero(np.float16(-0.0))
np.True_
"""

less: _Binary[np.bool]  # from halfsim.predicates
"""less(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than b.

Notes
-----
compareSignalingLess, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0. Flags:
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.less.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(16))
"""

less_equal: _Binary[np.bool]  # from halfsim.predicates
"""less_equal(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or equal to b.

Notes
-----
compareSignalingLessEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.less_equal.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(16))
"""

less_equal_quiet: _Binary[np.bool]  # from halfsim.predicates
"""less_equal_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or equal to b.

Notes
-----
compareQuietLessEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.less_equal_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(0))
"""

less_quiet: _Binary[np.bool]  # from halfsim.predicates
"""less_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than b.

Notes
-----
compareQuietLess, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0. Flags:
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.less_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(0))
"""

less_unordered: _Binary[np.bool]  # from halfsim.predicates
"""less_unordered(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than b, or they are unordered.

Notes
-----
compareSignalingLessUnordered, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.less_unordered.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(16))
"""

less_unordered_quiet: _Binary[np.bool]  # from halfsim.predicates
"""less_unordered_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than b, or they are unordered.

Notes
-----
compareQuietLessUnordered, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals
+0. Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.less_unordered_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(0))
"""

negative: _Unary[np.float16]  # from halfsim.predicates
"""negative(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

a with its sign reversed.

Notes
-----
negate, IEEE 754-2019 §5.5.1. Only the sign bit changes, of a signaling NaN too, which raises nothing. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.negative(np.float16(0))
np.float16(-0.0)
"""

not_equal: _Binary[np.bool]  # from halfsim.predicates
"""not_equal(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or greater than b, or they are unordered.

Notes
-----
compareQuietNotEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.not_equal.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(0))
"""

not_equal_signaling: _Binary[np.bool]  # from halfsim.predicates
"""not_equal_signaling(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or greater than b, or they are unordered.

Notes
-----
compareSignalingNotEqual, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0. Flags:
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.not_equal_signaling.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(16))
"""

not_greater: _Binary[np.bool]  # from halfsim.predicates
"""not_greater(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or equal to b, or they are unordered.

Notes
-----
compareSignalingNotGreater, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.not_greater.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(16))
"""

not_greater_quiet: _Binary[np.bool]  # from halfsim.predicates
"""not_greater_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or equal to b, or they are unordered.

Notes
-----
compareQuietNotGreater, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.not_greater_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(0))
"""

not_less: _Binary[np.bool]  # from halfsim.predicates
"""not_less(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than or equal to b, or they are unordered.

Notes
-----
compareSignalingNotLess, IEEE 754-2019 §5.6.1. A NaN operand is unordered; any NaN raises invalid. -0 equals +0. Flags:
invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.not_less.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(16))
"""

not_less_quiet: _Binary[np.bool]  # from halfsim.predicates
"""not_less_quiet(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is greater than or equal to b, or they are unordered.

Notes
-----
compareQuietNotLess, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.not_less_quiet.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(0))
"""

ordered: _Binary[np.bool]  # from halfsim.predicates
"""ordered(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a is less than or greater than or equal to b.

Notes
-----
compareQuietOrdered, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.ordered.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.False_, flags=np.uint8(0))
"""

signbit: _Unary[np.bool]  # from halfsim.predicates
"""signbit(a, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether the sign bit of a is set.

Notes
-----
isSignMinus, IEEE 754-2019 §5.7.2. True for -0 and negative NaNs. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.signbit(np.float16(-0.0))
np.True_
"""

total_order: _Binary[np.bool]  # from halfsim.predicates
"""total_order(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a precedes or equals b in the total order of all patterns.

Notes
-----
totalOrder, IEEE 754-2019 §5.10. -NaN < -inf < ... < -0 < +0 < ... < inf < NaN; of positive NaNs the signaling ones and
smaller payloads first. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.total_order(np.float16(-0.0), np.float16(0)), hs.total_order(np.float16(0), np.float16(-0.0))
(np.True_, np.False_)
"""

total_order_mag: _Binary[np.bool]  # from halfsim.predicates
r"""total_order_mag(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether \|a\| precedes or equals \|b\| in the total order.

Notes
-----
totalOrderMag, IEEE 754-2019 §5.10. Signs are ignored, of NaNs too. Flags: none.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.total_order_mag(np.float16(1), np.float16(-2))
np.True_
"""

unordered: _Binary[np.bool]  # from halfsim.predicates
"""unordered(a, b, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)

Whether a and b are unordered.

Notes
-----
compareQuietUnordered, IEEE 754-2019 §5.6.1. A NaN operand is unordered; a signaling NaN raises invalid. -0 equals +0.
Flags: invalid.

Examples
--------
>>> import numpy as np, halfsim as hs
>>> hs.unordered.flagged(np.float16(1), np.float16(np.nan))
Flagged(value=np.True_, flags=np.uint8(0))
"""
