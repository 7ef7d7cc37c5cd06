"""`convert`: any format or integer type to any other, one rounding whatever the width of the source."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from halfsim.arguments import names_its_calls
from halfsim.arrays import check_out, deliver, native_if_small, on_gpu, patterns_dtype, plain_array, writable_result
from halfsim.device import Gpu
from halfsim.environment import IEEE, Environment
from halfsim.factors import EXTENSION
from halfsim.flags import Flagged
from halfsim.formats import Format
from halfsim.kernels import conversion, host
from halfsim.kernels.loops import Loops
from halfsim.kernels.tables import WORTH
from halfsim.options import rounding_control
from halfsim.rounding import RoundingLike

__all__ = ["Conversion", "convert", "integer_dtype", "source_words"]


@lru_cache(maxsize=64)
def _format_of(dtype: np.dtype[Any]) -> Format | None:
    """The format of a floating-point dtype, else None."""
    return conversion.NATIVE.get(dtype.name) or EXTENSION.get(dtype.name)


class _Plan(NamedTuple):
    """How the elements of a dtype are converted to a target under a control word."""

    words: np.dtype[Any] | None
    """Of the operand's patterns; None where integers are taken as they are."""
    dtype: np.dtype[Any]
    """Of the result,"""
    patterns: np.dtype[Any]
    """and of its patterns, as loops write them."""
    loops: Loops
    extra: tuple[Any, ...]


@lru_cache(maxsize=32)
def _plan(kind: np.dtype[Any], target: Format | np.dtype[Any], control: int, large: bool) -> _Plan:
    """Return how to convert; `kind` is native, `large` says whether there are elements enough for a table.

    Looking all of it up takes longer than converting a few elements. Few are kept: a table may hang on each.
    """
    words, source = _words_of(kind)
    _, dtype = _target(target)
    patterns = conversion.words(8 * dtype.itemsize) if isinstance(target, Format) else dtype
    unsigned = source is None and kind.kind == "u"
    return _Plan(
        words, dtype, patterns, *conversion.conversion_loops(source, unsigned, target, control, large, patterns)
    )


def _words_of(kind: np.dtype[Any]) -> tuple[np.dtype[Any] | None, Format | None]:
    """Return the dtype of the words that an operand of a native dtype is viewed as, if any, and its format, if any."""
    fmt = _format_of(kind)
    if fmt is not None:
        return np.dtype(np.uint8) if fmt.width == 8 else conversion.words(fmt.width), fmt
    if kind.kind in "iu":
        return np.dtype(np.int64) if kind.itemsize == 8 else None, None
    raise TypeError(
        f"convert: x has dtype {kind}; pass float16, float32, float64, an integer dtype, or the bfloat16, "
        "float8_e5m2 or float8_e4m3fn of ml_dtypes"
    )


def _native(x: Any) -> NDArray[Any]:
    """Return an operand as an array in native byte order."""
    array = x if type(x) is np.ndarray else plain_array("convert", "x", x)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def source_words(x: Any) -> tuple[NDArray[Any], Format | None]:
    """Return the words of the operand and their format; None for integers, of which 64-bit ones are int64 words."""
    array = _native(x)
    words, fmt = _words_of(array.dtype)
    return array if words is None else array.view(words), fmt


@names_its_calls
class Conversion:
    """The operation behind `convert` (IEEE 754-2019 §5.4.2), callable and with a ``flagged`` twin.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hs.convert.flagged(np.float64([0.1, 70000]), hs.BINARY16)
    Flagged(value=array([0.1, inf], dtype=float16), flags=array([1, 5], dtype=uint8))
    """

    name = "convert"

    def __call__(
        self,
        x: Any,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: str | None = None,
    ) -> Any:
        """Convert; see the docstring of `halfsim.convert`."""
        if device is not None:
            return self._on_device(device, x, to, rounding, environment, out, where, exact, saturate).value
        value, _ = self._compute(x, to, rounding, environment, out, where is True, exact, saturate, False)
        return deliver("convert", value, out, where)

    def flagged(
        self,
        x: Any,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: str | None = None,
    ) -> Flagged:
        """Convert, and return the exception flags of every element too."""
        if device is not None:
            return self._on_device(device, x, to, rounding, environment, out, where, exact, saturate)
        value, flags = self._compute(x, to, rounding, environment, out, where is True, exact, saturate, True)
        return Flagged(deliver("convert", value, out, where), deliver("convert", flags, None, where))

    def _compute(
        self,
        x: Any,
        to: Format | DTypeLike,
        rounding: RoundingLike,
        environment: Environment,
        out: NDArray[Any] | None,
        everywhere: bool,
        exact: bool,
        saturate: bool,
        flagged: bool,
    ) -> tuple[NDArray[Any], Any]:
        array = native_if_small(x if type(x) is np.ndarray else plain_array("convert", "x", x))
        options = rounding_control("convert", rounding, environment, exact, saturate)
        target = to if isinstance(to, Format) else integer_dtype(to)
        kind = array.dtype
        plan = _plan(kind if kind.isnative else kind.newbyteorder("="), target, options[0], array.size >= WORTH)
        dtype, shape = plan.dtype, array.shape
        operands, pieces = [array if plan.words is None else array.view(patterns_dtype(kind, plan.words))], False
        if out is None:
            result = np.empty(shape, dtype)
        else:
            result, operands, pieces = writable_result("convert", out, everywhere, shape, dtype, operands)
        z = result if pieces or len(shape) == 1 else result.reshape(-1)
        if plan.patterns is not dtype:
            z = z.view(patterns_dtype(z.dtype, plan.patterns) if pieces else plan.patterns)
        flags = np.empty(z.size, np.uint8) if flagged else None
        host.compute(plan.loops, operands, z, flags, options, plan.extra, pieces)
        return result, flags if flags is None or len(shape) == 1 else flags.reshape(shape)

    def _on_device(
        self,
        device: str,
        x: Any,
        to: Format | DTypeLike,
        rounding: RoundingLike,
        environment: Environment,
        out: Any,
        where: Any,
        exact: bool,
        saturate: bool,
    ) -> Flagged:
        gpu = Gpu("convert", device, x, out)
        words, source, unsigned = _device_words(gpu, x)
        shape = tuple(words.shape)
        target, dtype = _target(to)
        if out is not None:
            (gpu.check_out if gpu.resident else partial(check_out, "convert"))(out, shape, dtype)
        options = rounding_control("convert", rounding, environment, exact, saturate)
        value, flags = conversion.general(gpu.kernels, gpu.flat(words, shape), source, unsigned, target, options)
        return Flagged(
            gpu.deliver(value, shape, dtype, out, where), gpu.deliver(flags, shape, flags.dtype, None, where)
        )

    def __repr__(self) -> str:
        return "<halfsim operation convert (convertFormat)>"


def integer_dtype(to: Any) -> np.dtype[Any]:
    """Return the integer dtype that a target names, or raise a `TypeError` that says what to pass."""
    try:
        dtype: np.dtype[Any] = np.dtype(to)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "iu":
        raise TypeError(
            f"convert: to={to!r} is not a target; pass a halfsim.Format such as BINARY16 or an integer dtype"
        )
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


def _target(to: Any) -> tuple[Format | np.dtype[Any], np.dtype[Any]]:
    """Return what to round to, and the dtype of the result."""
    if not isinstance(to, Format):
        dtype = integer_dtype(to)
        return dtype, dtype
    return to, np.dtype(conversion.holder(to).name.replace("binary", "float"))


def _device_words(gpu: Gpu, x: Any) -> tuple[Any, Format | None, bool]:
    """Return (words, format or None, whether unsigned) of an operand on a GPU, as `source_words` has them."""
    if not on_gpu(x):
        words, source = source_words(x)
        unsigned = source is None and np.asarray(x).dtype.kind == "u"
        dtype = np.dtype(np.int64) if source is None else conversion.words(source.width)
        return gpu.kernels.upload(words.astype(dtype, order="C")), source, unsigned
    array = gpu.array("x", x)
    fmt = conversion.NATIVE.get(array.dtype.name)
    if fmt is not None and array.dtype.isnative:
        return gpu.kernels.view(array, conversion.words(fmt.width)), fmt, False
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"convert: x on the GPU has dtype {array.dtype}; pass float16, float32, float64 or an integer dtype"
        )
    unsigned = array.dtype.kind == "u"
    # 64-bit ones travel in two's complement.
    return (gpu.kernels.view if array.dtype.itemsize == 8 else gpu.kernels.cast)(array, np.int64), None, unsigned


convert = Conversion()
convert.__doc__ = """
convert(x, to, *, rounding='rne', environment=IEEE, out=None, where=True, exact=False, saturate=False, device=None)

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
