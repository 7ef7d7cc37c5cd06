"""Factors of products as patterns: arrays of a format's own dtype, or float32 arrays that hold its numbers exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import Accumulator, MatrixUnit, factor_formats
from halfsim.arrays import as_elements, contiguous, plain_array
from halfsim.core.control import control_word
from halfsim.core.fields import layout
from halfsim.environment import IEEE
from halfsim.flags import Flags
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, Format, Specials
from halfsim.kernels import elementwise
from halfsim.kernels.encoding import exact_patterns
from halfsim.kernels.storage import stays_binary32
from halfsim.kernels.threads import run_blocks
from halfsim.rounding import Rounding
from halfsim.tensorcores import AccumulatorLike

__all__ = ["EXTENSION", "factor", "one"]

EXTENSION = {"bfloat16": BFLOAT16, "float8_e5m2": E5M2, "float8_e4m3fn": E4M3}
"""Dtypes of ml_dtypes by name, so that it need not be installed."""
_NAMES = {fmt: name for name, fmt in EXTENSION.items()}
_F16 = np.dtype(np.float16)
_F32 = np.dtype(np.float32)
_U16 = np.dtype(np.uint16)
_BLOCK = 1 << 15


def factor(
    function: str,
    argument: str,
    value: Any,
    position: int,
    row: Accumulator,
    given: AccumulatorLike,
    *,
    numbers: bool = False,
) -> NDArray[Any]:
    """Return the patterns of a factor, of the value's shape and any strides, or raise an error that says what to pass.

    Patterns of binary16 are in the order of bytes of the value.

    `position` is 0 for A and 1 for B; `given` is the accumulator as the caller named it. Where `numbers` says so, a
    float32 array whose format `stays_binary32` is only checked, and returned.
    """
    fmt = factor_formats(row)[position]
    array = value if type(value) is np.ndarray else plain_array(function, argument, value)
    if fmt is BINARY16 and array.dtype == _F16:
        return array.view(_U16)
    if fmt == BINARY16 and array.dtype.name not in EXTENSION:
        return as_elements(function, argument, array if isinstance(value, np.ndarray) else value)
    if EXTENSION.get(array.dtype.name) == fmt:
        return array.view(f"u{array.dtype.itemsize}").astype(np.uint16, copy=False)
    if fmt != BINARY16 and array.dtype.newbyteorder("=") == _F32 and not isinstance(value, float | int):
        words = contiguous(array.astype(_F32, copy=False)).view(np.uint32)
        if fmt == BINARY32:
            return words
        if numbers and stays_binary32(fmt) and _all_exact(words.reshape(-1), fmt):
            return words.view(_F32)
        return _exact(function, argument, words, fmt, _described(row, given))
    kind = f"Python {type(value).__name__}" if isinstance(value, float | int) else f"{array.dtype} array"
    raise TypeError(
        f"{function}: operand {argument} is of type {kind}, but {_described(row, given)} takes {fmt.name}; "
        f"round it first with {_rounded(fmt)}{_choices(fmt, array.dtype)}"
    )


def _rounded(fmt: Format) -> str:
    known = fmt in (BINARY16, BINARY32) or fmt.name in ("bfloat16", "TF32", "E5M2", "E4M3")
    return f"halfsim.convert(..., {f'halfsim.{fmt.name.upper()}' if known else fmt.name})"


def _choices(fmt: Format, dtype: np.dtype[Any]) -> str:
    """What to pass, for a format and the dtype that arrived."""
    if fmt == BINARY16:
        return f", or choose a tensor core whose inputs are {EXTENSION[dtype.name].name}"
    own = f"the {_NAMES[fmt]} of ml_dtypes or " if fmt in _NAMES else ""
    return f" and pass {own}float32 values"


def _described(row: Accumulator, given: AccumulatorLike) -> str:
    if isinstance(given, str):
        return f"accumulator {given!r}"
    names = dict.fromkeys(fmt.name for fmt in factor_formats(row))
    return f"{type(row).__name__}(inputs={' and '.join(names)})" if isinstance(row, MatrixUnit) else type(row).__name__


def _all_exact(words: NDArray[np.uint32], fmt: Format) -> bool:
    """Whether a format has all of these numbers, some of them looked at at a time."""
    blocks = (words[start : start + _BLOCK] for start in range(0, words.size, _BLOCK))
    return all(exact_patterns(block, fmt) is not None for block in blocks)


def _exact(function: str, argument: str, words: NDArray[np.uint32], fmt: Format, described: str) -> NDArray[Any]:
    """Return the patterns of binary32 numbers that the format has, every one."""
    flat = words.reshape(-1)
    known = exact_patterns(flat, fmt)
    if known is not None:
        return known.reshape(words.shape)
    patterns = np.empty(flat.size, np.uint16 if fmt.width <= 16 else np.uint32)
    flags = np.empty(flat.size, np.uint8)
    control = control_word(Rounding.roundTiesToEven, IEEE)
    source, to = layout(BINARY32), layout(fmt)

    def block(start: int, stop: int) -> None:
        part = slice(start, stop)
        elementwise.convert(flat[part], patterns[part], flags[part], control, 0, 0, source, to)

    run_blocks(block, flat.size, _BLOCK)
    if flags.any():
        wrong = flags != 0
        if fmt.specials != Specials.none:
            # The flag of a signaling NaN, which stays a NaN.
            wrong &= ~np.isnan(flat.view(np.float32)) | (flags != Flags.invalid)
        if wrong.any():
            first = int(np.argmax(wrong))
            index = tuple(int(i) for i in np.unravel_index(first, words.shape))
            raise ValueError(
                f"{function}: operand {argument} holds {flat.view(np.float32)[first]!s} at {index}, which is no "
                f"{fmt.name} number; {described} takes those, so round it first with {_rounded(fmt)}"
            )
    return patterns.reshape(words.shape)


def one(function: str, fmt: Format) -> NDArray[Any]:
    """Return the pattern of 1.0, in the dtype in which patterns of the format travel."""
    if not fmt.emin <= 0 <= fmt.emax:
        raise ValueError(f"{function}: {fmt.name} has no normal number 1; pass an accumulator with other inputs")
    dtype = np.uint16 if fmt.width <= 16 else np.uint32
    return np.array(fmt.bias << (fmt.precision - 1), dtype)
