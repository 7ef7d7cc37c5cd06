"""`convert`: any format or integer type to any other, one rounding whatever the width of the source."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from halfsim.arrays import check_out, deliver, plain_array
from halfsim.core.control import control_word
from halfsim.core.fields import layout
from halfsim.environment import IEEE, Environment
from halfsim.factors import EXTENSION
from halfsim.flags import Flagged
from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels import elementwise as loops
from halfsim.kernels.select import conversion_loops
from halfsim.kernels.threads import run_blocks
from halfsim.options import rounding_control
from halfsim.rounding import Rounding, RoundingLike

__all__ = ["Conversion", "convert", "integer_dtype", "source_words"]

_BLOCK = 1 << 15
_NATIVE = {"float16": BINARY16, "float32": BINARY32, "float64": BINARY64}
_layout = lru_cache(maxsize=64)(layout)


def _words(width: int) -> np.dtype[Any]:
    """Dtype in which patterns of a width travel: 64-bit ones as int64, for which the core is written."""
    return np.dtype(np.uint16 if width <= 16 else np.uint32 if width <= 32 else np.int64)


@lru_cache(maxsize=64)
def _holder(fmt: Format) -> Format:
    """The native format whose arrays hold every value of `fmt`."""
    for native in _NATIVE.values():
        if fmt == native:
            return native
    return BINARY32 if BINARY32.contains(fmt) else BINARY64


@lru_cache(maxsize=64)
def _format_of(dtype: np.dtype[Any]) -> Format | None:
    """The format of a floating-point dtype, else None."""
    return _NATIVE.get(dtype.name) or EXTENSION.get(dtype.name)


def source_words(x: Any) -> tuple[NDArray[Any], Format | None]:
    """Return contiguous words of the operand and their format; None for integers, as int64 words."""
    array = plain_array("convert", "x", x)
    fmt = _format_of(array.dtype)
    if fmt is not None:
        native = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
        stored = native if native.flags.carray else native.copy()
        if fmt.width == 8:
            return stored.view(np.uint8).astype(np.uint16), fmt
        return stored.view(_words(fmt.width)), fmt
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array.astype(np.int64)).reshape(array.shape), None
    raise TypeError(
        f"convert: x has dtype {array.dtype}; pass float16, float32, float64, an integer dtype, or the bfloat16, "
        "float8_e5m2 or float8_e4m3fn of ml_dtypes"
    )


class Conversion:
    """The operation behind `convert`, callable and with a ``flagged`` twin."""

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
    ) -> Any:
        """Convert; see the docstring of `halfsim.convert`."""
        value, _ = self._compute(x, to, rounding, environment, out, exact, saturate, flagged=False)
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
    ) -> Flagged:
        """Convert, and return the exception flags of every element too."""
        value, flags = self._compute(x, to, rounding, environment, out, exact, saturate, flagged=True)
        return Flagged(deliver("convert", value, out, where), deliver("convert", flags, None, where))

    def _compute(
        self,
        x: Any,
        to: Format | DTypeLike,
        rounding: RoundingLike,
        environment: Environment,
        out: NDArray[Any] | None,
        exact: bool,
        saturate: bool,
        *,
        flagged: bool,
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        words, source = source_words(x)
        target = to if isinstance(to, Format) else integer_dtype(to)
        dtype = np.dtype(_holder(target).name.replace("binary", "float")) if isinstance(target, Format) else target
        if out is not None:
            check_out("convert", out, words.shape, dtype)
        options = rounding_control("convert", rounding, environment, exact, saturate)
        unsigned = source is None and np.asarray(x).dtype.kind == "u"
        flat = words.reshape(-1)
        if isinstance(target, Format):
            value, flags = _to_format(flat, source, unsigned, target, flagged, options)
        else:
            value, flags = _to_integer(flat, source, target, options)
        return value.reshape(words.shape), flags.reshape(words.shape) if flagged else flags

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


def _to_format(
    words: NDArray[Any],
    source: Format | None,
    unsigned: bool,
    target: Format,
    flagged: bool,
    options: tuple[int, int, int],
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Round to a format: its values, in the native dtype that holds them, and flags if somebody asks."""
    control, seed, index = options
    z = np.empty(words.size, _words(target.width))
    to = _layout(target)
    fast = None if source is None else conversion_loops(source, target, control)
    flags = np.empty(words.size if flagged or fast is None else 0, np.uint8)
    if source is None:
        _run(loops.from_integer, words, z, flags, control, seed, index, 0 if unsigned else 1, to)
    elif fast is None:
        _run(loops.convert, words, z, flags, control, seed, index, _layout(source), to)
    elif flagged:
        _run(fast.flagged, words, z, flags, control, seed, index)
    else:
        values = fast.values
        run_blocks(lambda start, stop: values(words[start:stop], z[start:stop], control), words.size, _BLOCK)
    holder = _holder(target)
    if holder != target:
        held = np.empty(words.size, _words(holder.width))
        # Exact: only the container changes. A NaN is quiet already and keeps its payload.
        plain = control_word(Rounding.roundTiesToEven, IEEE)
        _run(loops.convert, z, held, np.empty(z.size, np.uint8), plain, 0, 0, to, _layout(holder))
        z = held
    return z.view(np.dtype(holder.name.replace("binary", "float"))), flags


def _to_integer(
    words: NDArray[Any], source: Format | None, target: np.dtype[Any], options: tuple[int, int, int]
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Round to integers."""
    if source is None:
        raise TypeError("convert: x and to are both integers; use numpy's astype, there is nothing to round")
    control, seed, index = options
    z = np.empty(words.size, np.int64)
    flags = np.empty(words.size, np.uint8)
    width, signed = 8 * target.itemsize, int(target.kind == "i")
    _run(loops.to_integer, words, z, flags, control, seed, index, _layout(source), width, signed)
    return z.view(np.uint64) if target == np.uint64 else z.astype(target), flags


def _run(kernel: Any, words: NDArray[Any], z: NDArray[Any], flags: NDArray[Any], *arguments: Any) -> None:
    control, seed, index, *extra = arguments

    def block(start: int, stop: int) -> None:
        kernel(words[start:stop], z[start:stop], flags[start:stop], control, seed, index + start, *extra)

    run_blocks(block, words.size, _BLOCK)


convert = Conversion()
convert.__doc__ = """
convert(x, to, *, rounding='rne', environment=IEEE, out=None, where=True, exact=False, saturate=False)

Round numbers to a format, or to integers, with one rounding whatever the width of the source.

Parameters
----------
x : array or scalar
    float16, float32, float64, any integer dtype up to 64 bits, or the bfloat16, float8_e5m2 and float8_e4m3fn of
    ml_dtypes. Python floats and integers count as float64 and int64.
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

Returns
-------
array or scalar
    Of `to`'s dtype for integers; float16, float32, float64 for BINARY16, BINARY32, BINARY64; for other formats the
    values held exactly in float32, or float64 where those are too narrow. ``convert.flagged(...)`` returns it with a
    uint8 array of `Flags` per element.

Raises
------
TypeError
    For other dtypes of `x`, other targets, or integers to integers.
ValueError
    For an unknown rounding, or an `out` or `where` of the wrong shape.

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
